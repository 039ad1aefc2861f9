// On a mount with root_squash root may do what the anonymous user may do, and nothing else: each
// operation is done by root there, and by that user in the same tree through an ordinary mount.
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "tests/support/mounted_cluster.h"

namespace pxfs::test {
namespace {

constexpr uid_t kAnonymous = 4321, kOwner = 1000;
constexpr gid_t kAnonymousGroup = 8765;

// In a tree's directory; -1 with errno, or anything else.
struct Operation {
  const char* name;
  std::function<long()> run;
};

// 0, or the errno.
int Errno(long result) { return result < 0 ? errno : 0; }

// Runs it in a process of its own, in `directory`, as the user; 0 or the errno.
int RunAs(uid_t uid, gid_t gid, const std::string& directory, const std::function<long()>& run) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::umask(0);
    const bool ready =
        ::chdir(directory.c_str()) == 0 &&
        (uid == 0 || (::setgroups(0, nullptr) == 0 && ::setresgid(gid, gid, gid) == 0 &&
                      ::setresuid(uid, uid, uid) == 0));
    ::_exit(ready ? Errno(run()) : 255);
  }
  int status = 0;
  if (::waitpid(child, &status, 0) != child || !WIFEXITED(status)) return 254;
  return WEXITSTATUS(status);
}

long Open(const char* path, int flags, mode_t mode = 0) {
  const UniqueFd fd(::open(path, flags | O_CLOEXEC, mode));
  return fd ? 0 : -1;
}

long List(const char* path) {
  DIR* const directory = ::opendir(path);
  if (!directory) return -1;
  errno = 0;
  while (::readdir(directory)) errno = 0;
  const int error = errno;
  ::closedir(directory);
  errno = error;
  return error == 0 ? 0 : -1;
}

// Where there is no such name, and another reason besides, both are right.
long RenameIfThere(const std::string& from, const std::string& to) {
  struct stat st;
  if (::lstat(from.c_str(), &st) != 0) return 0;
  return ::rename(from.c_str(), to.c_str());
}

long Stat(const char* path) {
  struct stat st;
  return ::stat(path, &st);
}

long Execute(const char* path) {
  const pid_t child = ::vfork();
  if (child == 0) {
    ::execl(path, path, nullptr);
    ::_exit(errno);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  errno = WEXITSTATUS(status);
  return errno == 0 ? 0 : -1;
}

long SetFlags(const char* path, int flags) {
  const UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  return fd ? ::ioctl(fd.get(), FS_IOC_SETFLAGS, &flags) : -1;
}

long SetXattr(const char* path, const char* name, const std::string& value) {
  return ::setxattr(path, name, value.data(), value.size(), 0);
}

long GetXattr(const char* path, const char* name) {
  char value[64];
  return ::getxattr(path, name, value, sizeof value);
}

// As in an xattr: user::, user:`uid`:, group::, mask::, other::.
std::string AclFor(uid_t uid, uint16_t permissions) {
  const uint32_t nobody = ~0u, version = 2;
  const struct {
    uint16_t tag, permissions;
    uint32_t id;
  } entries[] = {
      {1, 7, nobody}, {2, permissions, uid}, {4, 0, nobody}, {16, 7, nobody}, {32, 0, nobody}};
  return std::string(reinterpret_cast<const char*>(&version), sizeof version) +
         std::string(reinterpret_cast<const char*>(entries), sizeof entries);
}

void MakeFile(const std::string& path, uid_t uid, gid_t gid, mode_t mode,
              const std::string& content = "content") {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  ASSERT_TRUE(fd) << path << ": " << std::strerror(errno);
  ASSERT_EQ(::write(fd.get(), content.data(), content.size()), ssize_t(content.size()));
  ASSERT_EQ(::fchown(fd.get(), uid, gid), 0);
  ASSERT_EQ(::fchmod(fd.get(), mode), 0);
}

void MakeDirectory(const std::string& path, uid_t uid, gid_t gid, mode_t mode) {
  ASSERT_EQ(::mkdir(path.c_str(), 0700), 0) << path << ": " << std::strerror(errno);
  MakeFile(path + "/file", kOwner, kOwner, 0644);
  MakeFile(path + "/mine", kAnonymous, kAnonymousGroup, 0644);
  ASSERT_EQ(::mkdir((path + "/sub").c_str(), 0755), 0);
  MakeFile(path + "/sub/file", kOwner, kOwner, 0666);
  ASSERT_EQ(::chown(path.c_str(), uid, gid), 0);
  ASSERT_EQ(::chmod(path.c_str(), mode), 0);
}

void MakeTree(const std::string& root) {
  ASSERT_EQ(::mkdir(root.c_str(), 0755), 0) << std::strerror(errno);
  ASSERT_EQ(::chmod(root.c_str(), 0777), 0);
  const auto at = [&](const char* name) { return root + "/" + name; };
  MakeFile(at("readable"), kOwner, kOwner, 0644);
  MakeFile(at("private"), kOwner, kOwner, 0600);
  MakeFile(at("writable"), kOwner, kOwner, 0622);
  MakeFile(at("group"), kOwner, kAnonymousGroup, 0640);
  MakeFile(at("mine"), kAnonymous, kAnonymousGroup, 0644);
  MakeFile(at("mine-read-only"), kAnonymous, kAnonymousGroup, 0444);
  MakeFile(at("roots"), 0, 0, 0600);
  MakeFile(at("set-id"), kOwner, kOwner, 06766);
  MakeFile(at("by-list"), kOwner, kOwner, 0600);
  ASSERT_EQ(SetXattr(at("by-list").c_str(), "system.posix_acl_access", AclFor(kAnonymous, 6)), 0);
  MakeFile(at("program"), kOwner, kOwner, 0711, "#!/bin/true\n");
  MakeFile(at("executable"), kOwner, kOwner, 0755, "#!/bin/true\n");
  MakeFile(at("not-for-all"), kOwner, kOwner, 0700, "#!/bin/true\n");
  ASSERT_EQ(SetXattr(at("readable").c_str(), "user.x", "v"), 0);
  ASSERT_EQ(SetXattr(at("private").c_str(), "user.x", "v"), 0);
  ASSERT_EQ(SetXattr(at("mine").c_str(), "trusted.x", "v"), 0);
  MakeDirectory(at("open"), kOwner, kOwner, 0777);
  MakeDirectory(at("sticky"), kOwner, kOwner, 01777);
  MakeDirectory(at("closed"), kOwner, kOwner, 0700);
  MakeDirectory(at("search-only"), kOwner, kOwner, 0711);
  MakeDirectory(at("list-only"), kOwner, kOwner, 0744);
  MakeDirectory(at("roots-own"), 0, 0, 0755);
  MakeDirectory(at("my-own"), kAnonymous, kAnonymousGroup, 0700);
  MakeDirectory(at("listed"), kOwner, kOwner, 0700);
  ASSERT_EQ(SetXattr(at("listed").c_str(), "system.posix_acl_access", AclFor(kAnonymous, 7)), 0);
  MakeDirectory(at("listed-search"), kOwner, kOwner, 0700);
  ASSERT_EQ(SetXattr(at("listed-search").c_str(), "system.posix_acl_access", AclFor(kAnonymous, 1)),
            0);
}

std::vector<Operation> Operations() {
  std::vector<Operation> all;
  const auto add = [&](const char* name, std::function<long()> run) {
    all.push_back({name, std::move(run)});
  };
  // Opening, by each file's mode.
  for (const char* file : {"readable",
                           "private",
                           "writable",
                           "group",
                           "mine",
                           "mine-read-only",
                           "roots",
                           "set-id",
                           "by-list",
                           "program",
                           "closed/file",
                           "search-only/file",
                           "list-only/file",
                           "open/sub/file",
                           "closed/sub/file",
                           "listed/file",
                           "listed-search/sub/file",
                           "my-own/file",
                           "no-such",
                           "closed/no-such",
                           "search-only/no-such"}) {
    add(file, [file] { return Open(file, O_RDONLY); });
    add(file, [file] { return Open(file, O_WRONLY); });
    add(file, [file] { return Open(file, O_RDWR | O_APPEND); });
    add(file, [file] { return Open(file, O_RDONLY | O_TRUNC); });
    add(file, [file] { return ::truncate(file, 3); });
    add(file, [file] { return Stat(file); });
    add(file, [file] { return ::utimensat(AT_FDCWD, file, nullptr, 0); });
    add(file, [file] {
      const struct timespec times[2] = {{5, 0}, {6, 0}};
      return ::utimensat(AT_FDCWD, file, times, 0);
    });
    add(file, [file] { return ::chmod(file, 0644); });
    add(file, [file] { return ::chown(file, kAnonymous, static_cast<gid_t>(-1)); });
    add(file, [file] { return ::chown(file, static_cast<uid_t>(-1), kAnonymousGroup); });
    add(file, [file] { return ::chown(file, static_cast<uid_t>(-1), 0); });
    add(file, [file] { return GetXattr(file, "user.x"); });
    add(file, [file] { return GetXattr(file, "user.pxfs.copies"); });
    add(file, [file] { return SetXattr(file, "user.y", "v"); });
    add(file, [file] { return SetXattr(file, "trusted.y", "v"); });
    add(file, [file] { return GetXattr(file, "trusted.x"); });
    add(file, [file] { return SetXattr(file, "security.y", "v"); });
    add(file, [file] { return SetXattr(file, "system.posix_acl_access", AclFor(7, 7)); });
    add(file, [file] { return SetXattr(file, "user.pxfs.copies", "1"); });
    add(file, [file] { return ::removexattr(file, "user.x"); });
    add(file, [file] { return SetFlags(file, FS_IMMUTABLE_FL); });
  }
  for (const char* program : {"program", "executable", "not-for-all", "readable"})
    add(program, [program] { return Execute(program); });
  // Directories.
  for (const char* directory :
       {".", "open", "sticky", "closed", "search-only", "list-only", "roots-own", "my-own",
        "listed", "listed-search", "closed/sub", "search-only/sub"}) {
    const auto in = [directory](const char* name) { return std::string(directory) + "/" + name; };
    add(directory, [directory] { return List(directory); });
    add(directory, [in] { return Stat(in("file").c_str()); });
    add(directory, [in] { return Stat(in("sub/file").c_str()); });
    add(directory, [in] { return Open(in("new").c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644); });
    add(directory, [in] { return Open(in("unwritable").c_str(), O_WRONLY | O_CREAT | O_EXCL, 0); });
    add(directory, [directory] { return Open(directory, O_TMPFILE | O_WRONLY, 0600); });
    add(directory, [in] { return ::mkdir(in("new-directory").c_str(), 02775); });
    add(directory, [in] { return ::mkfifo(in("new-fifo").c_str(), 0644); });
    add(directory, [in] { return ::mknod(in("device").c_str(), S_IFCHR | 0666, makedev(1, 3)); });
    add(directory, [in] { return ::symlink("target", in("new-link").c_str()); });
    add(directory, [in] { return ::link("mine", in("hard").c_str()); });
    add(directory, [in] { return ::link("private", in("hard-private").c_str()); });
    add(directory, [in] { return ::link("set-id", in("hard-set-id").c_str()); });
    add(directory, [in] { return RenameIfThere("executable", in("executable")); });
    add(directory, [in] { return ::rename(in("executable").c_str(), "executable"); });
    add(directory, [in] { return ::rename(in("file").c_str(), in("renamed").c_str()); });
    add(directory, [in] { return ::rename(in("mine").c_str(), in("renamed-too").c_str()); });
    add(directory, [in] { return ::rename(in("sub").c_str(), "moved"); });
    add(directory, [in] { return RenameIfThere("moved", in("sub")); });
    add(directory, [in] { return ::unlink(in("renamed").c_str()); });
    add(directory, [in] { return ::unlink(in("file").c_str()); });
    add(directory, [in] { return ::unlink(in("mine").c_str()); });
    add(directory, [in] { return ::rmdir(in("new-directory").c_str()); });
    add(directory, [in] { return ::rmdir(in("sub").c_str()); });
    add(directory, [directory] { return SetXattr(directory, "user.d", "v"); });
    add(directory,
        [directory] { return SetXattr(directory, "system.posix_acl_default", AclFor(7, 7)); });
    add(directory, [directory] { return SetXattr(directory, "user.pxfs.policy", "copies=1"); });
    add(directory, [directory] { return ::chmod(directory, 02777); });
  }
  return all;
}

// Everything below a directory: names, types, modes, owners and sizes.
std::vector<std::string> Tree(const std::string& root, const std::string& below = "") {
  std::vector<std::string> lines;
  dirent** entries = nullptr;
  const int count = ::scandir((root + below).c_str(), &entries, nullptr, alphasort);
  for (int i = 0; i < count; ++i) {
    const std::string name = entries[i]->d_name;
    std::free(entries[i]);
    if (name == "." || name == "..") continue;
    const std::string path = below + "/" + name;
    struct stat st {};
    ::lstat((root + path).c_str(), &st);
    char line[512];
    std::snprintf(line, sizeof line, "%s %o %u:%u %ld", path.c_str(), st.st_mode, st.st_uid,
                  st.st_gid, S_ISDIR(st.st_mode) ? 0L : static_cast<long>(st.st_size));
    lines.emplace_back(line);
    if (!S_ISDIR(st.st_mode)) continue;
    for (std::string& further : Tree(root, path)) lines.push_back(std::move(further));
  }
  std::free(entries);
  return lines;
}

struct Variant {
  Shape shape;
  std::string options;
};

class RootSquash : public testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    MountedOptions options;
    options.shape = GetParam().shape;
    options.options = GetParam().options;
    auto mounted = MountedCluster::Start(options);
    ASSERT_TRUE(mounted) << mounted.error().message();
    mounted_ = std::move(*mounted);
    ASSERT_EQ(::chmod(Plain("").c_str(), 0755), 0);
    auto squashed = mounted_->MountAgain(
        "squashed", "root_squash,anonuid=" + std::to_string(kAnonymous) +
                        ",anongid=" + std::to_string(kAnonymousGroup) +
                        (GetParam().options.empty() ? "" : "," + GetParam().options));
    ASSERT_TRUE(squashed) << squashed.error().message();
    squashed_ = std::move(*squashed);
    // The way to the mounts is the test's, and not the matter.
    for (std::string at = mounted_->path(); at.size() > 5; at.resize(at.rfind('/')))
      ASSERT_EQ(::chmod(at.c_str(), 0755), 0) << at;
    ::umask(0);
  }
  void TearDown() override {
    if (squashed_) EXPECT_STATUS(squashed_->Stop());
    if (mounted_) EXPECT_STATUS(mounted_->Stop());
  }

  std::string Plain(const std::string& name) const { return mounted_->path() + "/" + name; }
  std::string Squashed(const std::string& name) const { return squashed_->path() + "/" + name; }
  // As root on the mount that squashes it.
  int AsRoot(const std::function<long()>& run) const { return RunAs(0, 0, Squashed(""), run); }
  int AsOwner(const std::function<long()>& run) const {
    return RunAs(kOwner, kOwner, Squashed(""), run);
  }

  std::unique_ptr<MountedCluster> mounted_;
  std::unique_ptr<Mount> squashed_;
};

TEST_P(RootSquash, RootDoesWhatTheAnonymousUserDoes) {
  MakeTree(Plain("a"));
  MakeTree(Plain("b"));
  size_t number = 0, refused = 0;
  for (const Operation& operation : Operations()) {
    const int expected = RunAs(kAnonymous, kAnonymousGroup, Plain("a"), operation.run);
    EXPECT_EQ(RunAs(0, 0, Squashed("b"), operation.run), expected)
        << "operation " << number << ": " << operation.name << ": expected "
        << std::strerror(expected);
    refused += expected == EACCES || expected == EPERM;
    ++number;
  }
  EXPECT_EQ(Tree(Plain("b")), Tree(Plain("a")));
  EXPECT_GT(refused, number / 4);
  EXPECT_LT(refused, number * 3 / 4);
}

// What the owner makes the kernel cache is not for root.
TEST_P(RootSquash, NothingOfItIsFoundInTheCaches) {
  MakeDirectory(Plain("closed"), kOwner, kOwner, 0700);
  const std::vector<std::function<long()>> looks = {
      [] { return Stat("closed/file"); }, [] { return Stat("closed/sub/file"); },
      [] { return List("closed"); },      [] { return Open("closed/file", O_RDONLY); },
      [] { return List("closed/sub"); },  [] { return GetXattr("closed/file", "user.pxfs.heat"); },
  };
  for (int round = 0; round < 2; ++round) {
    for (const auto& look : looks) EXPECT_EQ(AsOwner(look), 0);
    for (const auto& look : looks) EXPECT_EQ(AsRoot(look), EACCES);
  }
  EXPECT_EQ(AsOwner([] { return Stat("closed/no-such"); }), ENOENT);
  EXPECT_EQ(AsRoot([] { return Stat("closed/no-such"); }), EACCES);
  // What Linux decides without asking: access(2) and chdir(2) ask whether root may.
  EXPECT_EQ(AsRoot([] { return ::access("closed", R_OK | W_OK | X_OK); }), 0);
  // From inside it gets nothing either.
  EXPECT_EQ(AsRoot([] { return ::chdir("closed"); }), 0);
  EXPECT_EQ(AsRoot([] { return ::chdir("closed") == 0 ? List(".") : 0; }), EACCES);
  EXPECT_EQ(AsRoot([] { return ::chdir("closed") == 0 ? Stat("file") : 0; }), EACCES);
}

TEST_P(RootSquash, APermissionThatIsTakenAwayCountsAtOnce) {
  for (const bool here : {true, false}) {
    const std::string name = here ? "here" : "elsewhere";
    MakeDirectory(Plain(name), kOwner, kOwner, 0755);
    const std::string file = name + "/sub/file";
    const auto look = [&] { return Stat(file.c_str()); };
    EXPECT_EQ(AsRoot(look), 0);
    EXPECT_EQ(AsRoot([&] { return List(name.c_str()); }), 0);
    // By the same mount, and by another one.
    EXPECT_EQ(RunAs(kOwner, kOwner, here ? Squashed("") : Plain(""),
                    [&] { return ::chmod(name.c_str(), 0700); }),
              0);
    EXPECT_EQ(AsRoot(look), EACCES) << name;
    EXPECT_EQ(AsRoot([&] { return List(name.c_str()); }), EACCES) << name;
    ASSERT_EQ(SetXattr(Plain(name).c_str(), "system.posix_acl_access", AclFor(kAnonymous, 1)), 0);
    EXPECT_EQ(AsRoot(look), 0) << name;
    EXPECT_EQ(RunAs(kOwner, kOwner, here ? Squashed("") : Plain(""),
                    [&] { return ::removexattr(name.c_str(), "system.posix_acl_access"); }),
              0);
    EXPECT_EQ(AsRoot(look), EACCES) << name;
  }
}

// Who opened a file goes on, as everywhere.
TEST_P(RootSquash, WhatIsOpenGoesOn) {
  MakeFile(Plain("file"), kOwner, kOwner, 0666);
  MakeFile(Plain("with-capabilities"), kOwner, kOwner, 0666);
  // struct vfs_cap_data: cap_net_raw.
  const std::string capability(
      "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 20);
  ASSERT_EQ(SetXattr(Plain("with-capabilities").c_str(), "security.capability", capability), 0);
  const UniqueFd fd(::open(Squashed("file").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(fd) << std::strerror(errno);
  ASSERT_EQ(::chmod(Plain("file").c_str(), 0600), 0);
  EXPECT_FALSE(UniqueFd(::open(Squashed("file").c_str(), O_RDONLY | O_CLOEXEC)));
  EXPECT_EQ(errno, EACCES);
  char byte;
  EXPECT_EQ(::pread(fd.get(), &byte, 1, 0), 1);
  EXPECT_EQ(::pwrite(fd.get(), "more", 4, 7), 4) << std::strerror(errno);
  EXPECT_EQ(::ftruncate(fd.get(), 9), 0) << std::strerror(errno);
  EXPECT_EQ(::fsync(fd.get()), 0) << std::strerror(errno);
  EXPECT_EQ(::fchmod(fd.get(), 0666), -1);
  EXPECT_EQ(errno, EPERM);
  void* const map = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(map, MAP_FAILED) << std::strerror(errno);
  static_cast<char*>(map)[0] = 'C';
  EXPECT_EQ(::msync(map, 4096, MS_SYNC), 0) << std::strerror(errno);
  ::munmap(map, 4096);
  // The kernel takes the capabilities away in the name of the writer.
  const UniqueFd program(::open(Squashed("with-capabilities").c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(program) << std::strerror(errno);
  EXPECT_EQ(::write(program.get(), "x", 1), 1) << std::strerror(errno);
  EXPECT_EQ(GetXattr(Plain("with-capabilities").c_str(), "security.capability"), -1);
  EXPECT_EQ(errno, ENODATA);
}

INSTANTIATE_TEST_SUITE_P(Variants, RootSquash,
                         testing::Values(Variant{Shape::kEmbedded, ""},
                                         Variant{Shape::kDaemon, "passthrough=off"}),
                         [](const auto& info) {
                           return VariantName(info.param.shape, info.param.options);
                         });

}  // namespace
}  // namespace pxfs::test
