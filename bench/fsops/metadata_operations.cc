#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "bench/fsops/operations.h"

namespace pxfs::bench {
namespace {

constexpr char kXattr[] = "user.bench";
constexpr char kXattrValue[] = "thirty-two bytes of a label, say";
constexpr uint64_t kMissingNames = 1000;

void CreateFile(const std::string& name, size_t bytes) {
  static const char content[kSmallBytes] = {1};
  const int fd = open(name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
  if (fd < 0) Die(name);
  if (bytes && write(fd, content, bytes) != static_cast<ssize_t>(bytes)) Die(name);
  if (close(fd) != 0) Die(name);
}

// Once for every name.
template <typename F>
void Once(const std::string& directory, const std::vector<std::string>& names, Recorder& recorder,
          F&& operation) {
  EnterDirectory(directory);
  recorder.Start();
  for (const std::string& name : names) {
    operation(name);
    recorder.Done();
  }
}

// Again and again until the time is over.
template <typename F>
void Repeatedly(const std::string& directory, const std::vector<std::string>& names,
                Recorder& recorder, F&& operation) {
  EnterDirectory(directory);
  recorder.Start();
  for (size_t i = 0; !recorder.over(); i = i + 1 == names.size() ? 0 : i + 1) {
    operation(names[i]);
    recorder.Done();
  }
}

void Stat(const std::string& name) {
  struct stat st;
  if (stat(name.c_str(), &st) != 0) Die(name);
}

void StatMissing(const std::string& name) {
  struct stat st;
  if (stat(name.c_str(), &st) == 0) errno = EEXIST, Die(name);
  if (errno != ENOENT) Die(name);
}

void OpenReadClose(const std::string& name) {
  char buffer[kSmallBytes];
  const int fd = open(name.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) Die(name);
  if (read(fd, buffer, sizeof buffer) != sizeof buffer) Die(name);
  if (close(fd) != 0) Die(name);
}

uint64_t ListAndStat() {
  DIR* directory = opendir(".");
  if (!directory) Die("opendir");
  uint64_t entries = 0;
  while (const dirent* entry = readdir(directory)) {
    struct stat st;
    if (lstat(entry->d_name, &st) != 0) Die(entry->d_name);
    ++entries;
  }
  closedir(directory);
  return entries;
}

void Create(const Plan& plan, int thread, Recorder& recorder) {
  Once(plan.Directory("new", thread), Names("a", plan.files), recorder,
       [](const std::string& name) { CreateFile(name, 0); });
}

void Create4k(const Plan& plan, int thread, Recorder& recorder) {
  Once(plan.Directory("new4k", thread), Names("f", plan.files), recorder,
       [](const std::string& name) { CreateFile(name, kSmallBytes); });
}

void StatCached(const Plan& plan, int thread, Recorder& recorder) {
  const auto names = Names("f", plan.files);
  for (const std::string& name : names) Stat(plan.Directory("data", thread) + "/" + name);
  Repeatedly(plan.Directory("data", thread), names, recorder, Stat);
}

void StatCold(const Plan& plan, int thread, Recorder& recorder) {
  Once(plan.Directory("data", thread), Names("f", plan.files), recorder, Stat);
}

void Missing(const Plan& plan, int thread, Recorder& recorder) {
  const auto names = Names("missing", kMissingNames);
  Repeatedly(plan.Directory("data", thread), names, recorder, StatMissing);
}

void MissingNew(const Plan& plan, int thread, Recorder& recorder) {
  const std::string prefix = "never-seen-" + std::to_string(getpid()) + "-";
  Once(plan.Directory("data", thread), Names(prefix.c_str(), plan.files), recorder, StatMissing);
}

void OpenRead(const Plan& plan, int thread, Recorder& recorder) {
  Repeatedly(plan.Directory("data", thread), Names("f", plan.files), recorder, OpenReadClose);
}

void ReadDirectory(const Plan& plan, int thread, Recorder& recorder) {
  EnterDirectory(plan.Directory("data", thread));
  recorder.Start();
  do {
    recorder.Done(ListAndStat());
  } while (!recorder.over());
}

void ReadDirectoryOnce(const Plan& plan, int thread, Recorder& recorder) {
  EnterDirectory(plan.Directory("data", thread));
  recorder.Start();
  recorder.Done(ListAndStat());
}

void Rename(const Plan& plan, int thread, Recorder& recorder) {
  size_t i = 0;
  const auto to = Names("b", plan.files);
  Once(plan.Directory("new", thread), Names("a", plan.files), recorder,
       [&](const std::string& name) {
         if (rename(name.c_str(), to[i++].c_str()) != 0) Die(name);
       });
}

void Link(const Plan& plan, int thread, Recorder& recorder) {
  const std::string from = "../../data/t" + std::to_string(thread) + "/";
  Once(plan.Directory("links", thread), Names("f", plan.files), recorder,
       [&](const std::string& name) {
         if (link((from + name).c_str(), name.c_str()) != 0) Die(name);
       });
}

void Unlink(const Plan& plan, int thread, Recorder& recorder) {
  Once(plan.Directory("new4k", thread), Names("f", plan.files), recorder,
       [](const std::string& name) {
         if (unlink(name.c_str()) != 0) Die(name);
       });
}

void Chmod(const Plan& plan, int thread, Recorder& recorder) {
  uint64_t i = 0;  // every pass over the files sets another mode than the one before
  Repeatedly(plan.Directory("data", thread), Names("f", plan.files), recorder,
             [&](const std::string& name) {
               const mode_t mode = i++ / plan.files % 2 ? 0644 : 0640;
               if (chmod(name.c_str(), mode) != 0) Die(name);
             });
}

void SetXattr(const Plan& plan, int thread, Recorder& recorder) {
  std::string value = kXattrValue;
  uint64_t i = 0;
  Repeatedly(plan.Directory("data", thread), Names("f", plan.files), recorder,
             [&](const std::string& name) {
               value[0] = static_cast<char>('a' + i++ / plan.files % 26);
               if (setxattr(name.c_str(), kXattr, value.data(), value.size(), 0) != 0) Die(name);
             });
}

void GetXattr(const Plan& plan, int thread, Recorder& recorder) {
  char value[sizeof kXattrValue];
  Repeatedly(plan.Directory("data", thread), Names("f", plan.files), recorder,
             [&](const std::string& name) {
               if (getxattr(name.c_str(), kXattr, value, sizeof value) < 0) Die(name);
             });
}

void PrepareCreate(const Plan& plan) { MakeEmptyDirectories(plan, "new"); }
void PrepareCreate4k(const Plan& plan) { MakeEmptyDirectories(plan, "new4k"); }
void PrepareRename(const Plan& plan) { EnsureFiles(plan, "new", "a", 0); }
void PrepareUnlink(const Plan& plan) { EnsureFiles(plan, "new4k", "f", kSmallBytes); }

void PrepareLink(const Plan& plan) {
  MakeSmallFiles(plan);
  MakeEmptyDirectories(plan, "links");
}

void PrepareGetXattr(const Plan& plan) {
  MakeSmallFiles(plan);
  for (int thread = 0; thread < plan.threads; ++thread) {
    for (const std::string& name : Names("f", plan.files)) {
      const std::string path = plan.Directory("data", thread) + "/" + name;
      if (setxattr(path.c_str(), kXattr, kXattrValue, sizeof kXattrValue - 1, 0) != 0) Die(path);
    }
  }
}

constexpr Operation kOperations[] = {
    {"create", "ops/s", "create an empty file and close it", Cold::kNo, false, PrepareCreate,
     Create},
    {"rename", "ops/s", "rename within a directory", Cold::kNo, false, PrepareRename, Rename},
    {"create_4k", "ops/s", "create, write 4 KiB, close", Cold::kNo, false, PrepareCreate4k,
     Create4k},
    {"unlink", "ops/s", "unlink a 4 KiB file", Cold::kNo, false, PrepareUnlink, Unlink},
    {"stat_cached", "ops/s", "stat, in the kernel's cache", Cold::kNo, true, MakeSmallFiles,
     StatCached},
    {"stat_cold", "ops/s", "stat, after the kernel's names and inodes were dropped", Cold::kNames,
     true, MakeSmallFiles, StatCold},
    {"missing", "ops/s", "stat of 1000 missing names, over and over", Cold::kNo, true,
     MakeSmallFiles, Missing},
    {"missing_new", "ops/s", "stat of missing names, each for the first time", Cold::kNo, true,
     MakeSmallFiles, MissingNew},
    {"open_read", "ops/s", "open, read 4 KiB, close", Cold::kNo, true, MakeSmallFiles, OpenRead},
    {"readdir_lstat", "entries/s", "readdir and lstat of every entry", Cold::kNo, true,
     MakeSmallFiles, ReadDirectory},
    {"readdir_lstat_cold", "entries/s", "the same, once, after the caches were dropped",
     Cold::kNames, true, MakeSmallFiles, ReadDirectoryOnce},
    {"link", "ops/s", "a hard link in another directory", Cold::kNo, false, PrepareLink, Link},
    {"chmod", "ops/s", "chmod to another mode", Cold::kNo, false, MakeSmallFiles, Chmod},
    {"setxattr", "ops/s", "setxattr of 32 bytes", Cold::kNo, false, MakeSmallFiles, SetXattr},
    {"getxattr", "ops/s", "getxattr of 32 bytes", Cold::kNo, false, PrepareGetXattr, GetXattr},
};

}  // namespace

std::span<const Operation> MetadataOperations() { return kOperations; }

}  // namespace pxfs::bench
