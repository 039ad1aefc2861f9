#include "tests/power/object_disk.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <mutex>
#include <utility>

namespace pxfs::power {
namespace {

using Kind = ObjectEvent::Kind;
constexpr size_t kSectorBytes = 512;
constexpr const char* kBootId = "/proc/sys/kernel/random/boot_id";

using Node = std::pair<dev_t, ino_t>;

Node NodeOf(int fd) {
  struct stat st {};
  return ::fstat(fd, &st) == 0 ? Node(st.st_dev, st.st_ino) : Node();
}

// What is recorded, if anything.
struct Recording {
  std::mutex mutex;  // guards the rest
  bool on = false;
  std::function<void(ObjectEvent)> tell;
  std::map<Node, std::string> directories;
  std::map<Node, uint64_t> files;
  uint64_t next_file = 1;
  std::string boot_id_file;

  // The path of a name in a directory that is recorded; empty: it is not.
  std::string PathOf(int directory, const char* name) {
    if (!on || name[0] == '/') return "";
    const auto found = directories.find(NodeOf(directory));
    return found == directories.end() ? "" : found->second + "/" + name;
  }
  // 0: not recorded.
  uint64_t FileOf(int fd) {
    if (!on) return 0;
    const auto found = files.find(NodeOf(fd));
    return found == files.end() ? 0 : found->second;
  }
};

Recording& recording() {
  static Recording the_one;
  return the_one;
}

std::string ParentOf(const std::string& path) { return path.substr(0, path.rfind('/')); }
std::string VolumeOf(const std::string& path) { return path.substr(0, path.find('/')); }

void ApplyContent(const ObjectEvent& event, std::string* content) {
  if (event.kind == Kind::kTruncate) {
    content->resize(event.offset);
    return;
  }
  content->resize(std::max<size_t>(content->size(), event.offset + event.data.size()));
  std::copy(event.data.begin(), event.data.end(),
            content->begin() + static_cast<std::ptrdiff_t>(event.offset));
}

std::string Torn(const std::string& synced, const std::vector<ObjectEvent>& pending,
                 std::mt19937_64& random) {
  std::string left = synced;
  const auto some_sectors = [&](const ObjectEvent& event) {
    if (event.kind == Kind::kTruncate) return ApplyContent(event, &left);
    for (size_t at = 0; at < event.data.size(); at += kSectorBytes) {
      ObjectEvent sector = event;
      sector.offset += at;
      sector.data = event.data.substr(at, kSectorBytes);
      if (random() % 2 == 0) ApplyContent(sector, &left);
    }
  };
  switch (random() % 5) {
    case 0:
      break;
    case 1:
      for (const ObjectEvent& event : pending) ApplyContent(event, &left);
      break;
    case 2: {
      const size_t whole = random() % (pending.size() + 1);
      for (size_t i = 0; i < whole; ++i) ApplyContent(pending[i], &left);
      if (whole < pending.size()) some_sectors(pending[whole]);
      break;
    }
    case 3:
      for (const ObjectEvent& event : pending)
        if (random() % 2 == 0) some_sectors(event);
      break;
    default: {  // its size is there, and its bytes are not
      std::string all = synced;
      for (const ObjectEvent& event : pending) ApplyContent(event, &all);
      left.resize(std::max(left.size(), all.size()));
      break;
    }
  }
  return left;
}

}  // namespace

ObjectRecorder::ObjectRecorder(const std::map<std::string, std::string>& directories,
                               std::function<void(ObjectEvent)> tell) {
  Recording& r = recording();
  std::lock_guard lock(r.mutex);
  r.directories.clear();
  r.files.clear();
  for (const auto& [name, path] : directories) {
    for (const std::string& below : {std::string(), std::string("/objects")}) {
      struct stat st {};
      if (::stat((path + below).c_str(), &st) == 0)
        r.directories[Node(st.st_dev, st.st_ino)] = name + below;
    }
  }
  r.tell = std::move(tell);
  r.on = true;
}

ObjectRecorder::~ObjectRecorder() {
  std::lock_guard lock(recording().mutex);
  recording().on = false;
}

void SetBoots(int boots) {
  Recording& r = recording();
  std::lock_guard lock(r.mutex);
  const int fd = ::memfd_create("boot_id", MFD_CLOEXEC);
  const std::string id = "boot " + std::to_string(boots) + "\n";
  if (fd < 0 || ::write(fd, id.data(), id.size()) != static_cast<ssize_t>(id.size())) std::abort();
  static int kept = -1;
  if (kept >= 0) ::close(kept);
  kept = fd;
  r.boot_id_file = "/proc/self/fd/" + std::to_string(fd);
}

ObjectDisks::ObjectDisks(const std::set<std::string>& volumes) {
  for (const std::string& volume : volumes) durable_.directories.insert(volume + "/objects");
}

void ObjectDisks::ApplyNames(const ObjectEvent& event, Names* names) {
  switch (event.kind) {
    case Kind::kCreate:
      names->files[event.path] = event.file;
      break;
    case Kind::kMakeDirectory:
      names->directories.insert(event.path);
      break;
    case Kind::kRemove:
      names->files.erase(event.path);
      break;
    case Kind::kRemoveDirectory:
      // What was in it went before, as no file system does it the other way round.
      names->directories.erase(event.path);
      std::erase_if(names->files,
                    [&](const auto& file) { return ParentOf(file.first) == event.path; });
      break;
    default:
      break;
  }
}

void ObjectDisks::SyncNames(const std::function<bool(const std::string& path)>& covered) {
  std::erase_if(changes_, [&](const ObjectEvent& change) {
    if (!covered(change.path)) return false;
    ApplyNames(change, &durable_);
    return true;
  });
}

void ObjectDisks::Apply(const ObjectEvent& event) {
  const auto sync = [](File& file) {
    for (const ObjectEvent& change : file.pending) ApplyContent(change, &file.synced);
    file.pending.clear();
  };
  switch (event.kind) {
    case Kind::kCreate:
      files_[event.file] = {};
      volume_of_[event.file] = VolumeOf(event.path);
      changes_.push_back(event);
      break;
    case Kind::kMakeDirectory:
    case Kind::kRemove:
    case Kind::kRemoveDirectory:
      changes_.push_back(event);
      break;
    case Kind::kWrite:
    case Kind::kTruncate:
      files_[event.file].pending.push_back(event);
      break;
    case Kind::kSyncFile:
      sync(files_[event.file]);
      break;
    case Kind::kSyncDirectory:
      SyncNames([&](const std::string& path) { return ParentOf(path) == event.path; });
      break;
    case Kind::kSyncAll:
      SyncNames([&](const std::string& path) { return VolumeOf(path) == event.path; });
      for (auto& [number, file] : files_)
        if (volume_of_[number] == event.path) sync(file);
      break;
  }
}

ObjectDisks::Image ObjectDisks::AfterPowerCut(std::mt19937_64& random) const {
  Names names = durable_;
  const bool in_order = random() % 2 == 0;
  const size_t first = random() % (changes_.size() + 1);
  for (size_t i = 0; i < changes_.size(); ++i)
    if (in_order ? i < first : random() % 2 == 0) ApplyNames(changes_[i], &names);
  Image image{names.directories, {}};
  for (const auto& [path, number] : names.files) {
    if (!names.directories.contains(ParentOf(path))) continue;
    const File& file = files_.at(number);
    image.files[path] = Torn(file.synced, file.pending, random);
  }
  return image;
}

}  // namespace pxfs::power

// ---- the shim ----

using pxfs::power::ObjectEvent;
using pxfs::power::recording;

extern "C" {

int openat(int directory, const char* name, int flags, ...) {
  mode_t mode = 0;
  if (flags & (O_CREAT | O_TMPFILE)) {
    va_list arguments;
    va_start(arguments, flags);
    mode = va_arg(arguments, mode_t);
    va_end(arguments);
  }
  auto& r = recording();
  std::lock_guard lock(r.mutex);
  if (std::strcmp(name, pxfs::power::kBootId) == 0 && !r.boot_id_file.empty())
    name = r.boot_id_file.c_str();
  const std::string path = (flags & O_CREAT) ? r.PathOf(directory, name) : "";
  const bool is_new = !path.empty() && ::faccessat(directory, name, F_OK, 0) != 0;
  const int fd = static_cast<int>(::syscall(SYS_openat, directory, name, flags, mode));
  if (fd >= 0 && is_new) {
    const uint64_t file = r.next_file++;
    r.files[pxfs::power::NodeOf(fd)] = file;
    r.tell({.kind = ObjectEvent::Kind::kCreate, .path = path, .file = file});
  }
  return fd;
}

int mkdirat(int directory, const char* name, mode_t mode) noexcept {
  auto& r = recording();
  std::lock_guard lock(r.mutex);
  const int result = static_cast<int>(::syscall(SYS_mkdirat, directory, name, mode));
  const std::string path = result == 0 ? r.PathOf(directory, name) : "";
  struct stat st;
  if (!path.empty() && ::fstatat(directory, name, &st, 0) == 0) {
    r.directories[{st.st_dev, st.st_ino}] = path;
    r.tell({.kind = ObjectEvent::Kind::kMakeDirectory, .path = path});
  }
  return result;
}

int unlinkat(int directory, const char* name, int flags) noexcept {
  auto& r = recording();
  std::lock_guard lock(r.mutex);
  const int result = static_cast<int>(::syscall(SYS_unlinkat, directory, name, flags));
  const std::string path = result == 0 ? r.PathOf(directory, name) : "";
  if (!path.empty())
    r.tell({.kind = flags & AT_REMOVEDIR ? ObjectEvent::Kind::kRemoveDirectory
                                         : ObjectEvent::Kind::kRemove,
            .path = path});
  return result;
}

ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  auto& r = recording();
  std::lock_guard lock(r.mutex);
  const ssize_t n = ::syscall(SYS_pwrite64, fd, data, size, offset);
  const uint64_t file = n > 0 ? r.FileOf(fd) : 0;
  if (file != 0)
    r.tell({.kind = ObjectEvent::Kind::kWrite,
            .file = file,
            .offset = static_cast<uint64_t>(offset),
            .data = std::string(static_cast<const char*>(data), static_cast<size_t>(n))});
  return n;
}

int ftruncate(int fd, off_t size) noexcept {
  auto& r = recording();
  std::lock_guard lock(r.mutex);
  const int result = static_cast<int>(::syscall(SYS_ftruncate, fd, size));
  const uint64_t file = result == 0 ? r.FileOf(fd) : 0;
  if (file != 0)
    r.tell({.kind = ObjectEvent::Kind::kTruncate,
            .file = file,
            .offset = static_cast<uint64_t>(size)});
  return result;
}

int fsync(int fd) {
  auto& r = recording();
  std::lock_guard lock(r.mutex);
  if (!r.on) return static_cast<int>(::syscall(SYS_fsync, fd));
  const auto directory = r.directories.find(pxfs::power::NodeOf(fd));
  const uint64_t file = r.FileOf(fd);
  if (directory != r.directories.end())
    r.tell({.kind = ObjectEvent::Kind::kSyncDirectory, .path = directory->second});
  else if (file != 0)
    r.tell({.kind = ObjectEvent::Kind::kSyncFile, .file = file});
  else
    return static_cast<int>(::syscall(SYS_fsync, fd));
  return 0;
}

int fdatasync(int fd) { return fsync(fd); }

int syncfs(int fd) noexcept {
  auto& r = recording();
  std::lock_guard lock(r.mutex);
  if (!r.on) return static_cast<int>(::syscall(SYS_syncfs, fd));
  const auto directory = r.directories.find(pxfs::power::NodeOf(fd));
  if (directory == r.directories.end()) return static_cast<int>(::syscall(SYS_syncfs, fd));
  r.tell({.kind = ObjectEvent::Kind::kSyncAll, .path = directory->second});
  return 0;
}

}  // extern "C"
