#include "tests/mount/probe.h"

#include <dirent.h>
#include <grp.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "base/hash.h"

namespace pxfs::test {
namespace {

std::string Octal(mode_t mode) {
  char text[16];
  std::snprintf(text, sizeof text, "%04o", mode);
  return text;
}

const char* TypeName(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return "file";
    case S_IFDIR:
      return "directory";
    case S_IFLNK:
      return "symlink";
    case S_IFIFO:
      return "fifo";
    case S_IFSOCK:
      return "socket";
    case S_IFCHR:
      return "char";
    case S_IFBLK:
      return "block";
    default:
      return "unknown";
  }
}

std::string OpenFlags(int flags) {
  static constexpr const char* kAccess[] = {"RDONLY", "WRONLY", "RDWR", "3"};
  std::string text = kAccess[flags & O_ACCMODE];
  static constexpr std::pair<int, const char*> kFlags[] = {
      {O_CREAT, "CREAT"},         {O_EXCL, "EXCL"},         {O_TRUNC, "TRUNC"},
      {O_APPEND, "APPEND"},       {O_NOFOLLOW, "NOFOLLOW"}, {O_TMPFILE, "TMPFILE"},
      {O_PATH, "PATH"},           {O_NONBLOCK, "NONBLOCK"}, {O_DIRECT, "DIRECT"},
      {O_DIRECTORY, "DIRECTORY"}, {O_NOATIME, "NOATIME"}};
  for (const auto& [flag, name] : kFlags) {
    if ((flags & flag) == flag) text += std::string("|") + name;
  }
  return text;
}

std::string Describe(std::string_view bytes) {
  if (bytes.size() <= 64) return Quote(bytes);
  return std::to_string(bytes.size()) + " bytes, " + ToString(Hash(bytes));
}

const timespec& TimeOf(const struct stat& st, char kind) {
  return kind == 'a' ? st.st_atim : kind == 'm' ? st.st_mtim : st.st_ctim;
}

std::string_view ErrnoText(int error_number) {
  const char* name = ::strerrorname_np(error_number);
  return name ? name : "E?";
}

}  // namespace

std::string ErrnoName(int error_number) { return std::string(ErrnoText(error_number)); }

std::string Quote(std::string_view bytes) {
  std::string text = "'";
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes.size() > 80 && i == 40) {
      text += "...(" + std::to_string(bytes.size()) + " bytes)...";
      i = bytes.size() - 20;
    }
    const unsigned char c = static_cast<unsigned char>(bytes[i]);
    if (c >= 0x20 && c < 0x7f && c != '\'') {
      text += static_cast<char>(c);
    } else {
      char hex[8];
      std::snprintf(hex, sizeof hex, "\\x%02x", c);
      text += hex;
    }
  }
  return text + "'";
}

void Probe::NoteResult(const std::string& what, long result, int error_number) {
  Note(what + " = " +
       (result < 0    ? ErrnoName(error_number)
        : result == 0 ? "ok"
                      : std::to_string(result)));
}

int Probe::Open(const std::string& path, int flags, mode_t mode) {
  std::string what = "open " + Quote(path) + " " + OpenFlags(flags);
  if (flags & (O_CREAT | __O_TMPFILE)) what += " " + Octal(mode);
  return static_cast<int>(Try(what, [&] { return ::open(path.c_str(), flags | O_CLOEXEC, mode); }));
}

void Probe::Close(int fd) {
  if (fd >= 0) Do("close", [&] { return ::close(fd); });
}

void Probe::Make(const std::string& path, std::string_view content, mode_t mode) {
  const int fd = Open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
  if (fd < 0) return;
  if (!content.empty()) Write(fd, content);
  Close(fd);
}

void Probe::Write(int fd, std::string_view data) {
  Do("write " + Describe(data), [&] { return ::write(fd, data.data(), data.size()); });
}

void Probe::Pwrite(int fd, std::string_view data, off_t offset) {
  Do("pwrite " + Describe(data) + " at " + std::to_string(offset),
     [&] { return ::pwrite(fd, data.data(), data.size(), offset); });
}

void Probe::Read(int fd, size_t size) {
  std::string data(size, '\0');
  const long n = Do("read " + std::to_string(size), [&] { return ::read(fd, data.data(), size); });
  if (n >= 0) Note("  " + Describe(std::string_view(data).substr(0, static_cast<size_t>(n))));
}

void Probe::Pread(int fd, size_t size, off_t offset) {
  std::string data(size, '\0');
  const long n = Do("pread " + std::to_string(size) + " at " + std::to_string(offset),
                    [&] { return ::pread(fd, data.data(), size, offset); });
  if (n >= 0) Note("  " + Describe(std::string_view(data).substr(0, static_cast<size_t>(n))));
}

void Probe::Content(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return Note("content " + Quote(path) + " = " + ErrnoName(errno));
  std::string content, block(1 << 16, '\0');
  ssize_t n;
  while ((n = ::read(fd, block.data(), block.size())) > 0)
    content.append(block, 0, static_cast<size_t>(n));
  Note("content " + Quote(path) + " = " + (n < 0 ? ErrnoName(errno) : Describe(content)));
  ::close(fd);
}

void Probe::Seek(int fd, off_t offset, int whence) {
  static constexpr const char* kWhence[] = {"SET", "CUR", "END", "DATA", "HOLE"};
  const std::string name = whence >= 0 && whence < 5 ? kWhence[whence] : std::to_string(whence);
  Do("lseek " + std::to_string(offset) + " " + name, [&] { return ::lseek(fd, offset, whence); });
}

void Probe::Truncate(const std::string& path, off_t size) {
  Do("truncate " + Quote(path) + " " + std::to_string(size),
     [&] { return ::truncate(path.c_str(), size); });
}

void Probe::Ftruncate(int fd, off_t size) {
  Do("ftruncate " + std::to_string(size), [&] { return ::ftruncate(fd, size); });
}

void Probe::Mkdir(const std::string& path, mode_t mode) {
  Do("mkdir " + Quote(path) + " " + Octal(mode), [&] { return ::mkdir(path.c_str(), mode); });
}

void Probe::Rmdir(const std::string& path) {
  Do("rmdir " + Quote(path), [&] { return ::rmdir(path.c_str()); });
}

void Probe::Unlink(const std::string& path) {
  Do("unlink " + Quote(path), [&] { return ::unlink(path.c_str()); });
}

void Probe::Rename(const std::string& from, const std::string& to, unsigned flags) {
  std::string what = "rename " + Quote(from) + " " + Quote(to);
  if (flags != 0) what += " flags " + std::to_string(flags);
  Do(what,
     [&] { return ::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags); });
}

void Probe::Link(const std::string& from, const std::string& to, int flags) {
  Do("link " + Quote(from) + " " + Quote(to),
     [&] { return ::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags); });
}

void Probe::Symlink(const std::string& target, const std::string& path) {
  Do("symlink " + Quote(target) + " " + Quote(path),
     [&] { return ::symlink(target.c_str(), path.c_str()); });
}

void Probe::Readlink(const std::string& path) {
  std::string target(8192, '\0');
  const long n = Do("readlink " + Quote(path),
                    [&] { return ::readlink(path.c_str(), target.data(), target.size()); });
  if (n >= 0) Note("  " + Describe(std::string_view(target).substr(0, static_cast<size_t>(n))));
}

void Probe::Mknod(const std::string& path, mode_t mode, dev_t device) {
  Do("mknod " + Quote(path) + " " + TypeName(mode) + " " + Octal(mode & 07777),
     [&] { return ::mknod(path.c_str(), mode, device); });
}

void Probe::List(const std::string& path) {
  DIR* directory = ::opendir(path.c_str());
  if (!directory) return Note("list " + Quote(path) + " = " + ErrnoName(errno));
  std::vector<std::string> entries;
  errno = 0;
  while (const dirent* entry = ::readdir(directory))
    entries.push_back(Quote(entry->d_name) + " " + TypeName(DTTOIF(entry->d_type)));
  Note("list " + Quote(path) + " = " +
       (errno ? ErrnoName(errno) : std::to_string(entries.size()) + " entries"));
  ::closedir(directory);
  std::sort(entries.begin(), entries.end());
  for (const std::string& entry : entries) Note("  " + entry);
}

int Probe::InodeNumber(const struct stat& st, int directory, const std::string& path, int flags) {
  union {
    file_handle handle;
    char bytes[sizeof(file_handle) + MAX_HANDLE_SZ];
  } buffer;
  buffer.handle.handle_bytes = MAX_HANDLE_SZ;
  int mount_id;
  std::string key = std::to_string(st.st_ino) + " ";
  if (::name_to_handle_at(directory, path.c_str(), &buffer.handle, &mount_id, flags) == 0)
    key.append(reinterpret_cast<const char*>(buffer.handle.f_handle), buffer.handle.handle_bytes);
  return inodes_.try_emplace(key, static_cast<int>(inodes_.size())).first->second;
}

void Probe::NoteStat(const std::string& what, const struct stat& st, int inode) {
  std::string line = what + " = #" + std::to_string(inode) + " " + TypeName(st.st_mode) + " " +
                     Octal(st.st_mode & 07777) + " nlink " + std::to_string(st.st_nlink) +
                     " owner " + std::to_string(st.st_uid) + ":" + std::to_string(st.st_gid);
  if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode)) line += " size " + std::to_string(st.st_size);
  if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
    line +=
        " device " + std::to_string(major(st.st_rdev)) + ":" + std::to_string(minor(st.st_rdev));
  Note(line);
}

void Probe::Stat(const std::string& path) {
  struct stat st;
  if (::lstat(path.c_str(), &st) != 0)
    return Note("stat " + Quote(path) + " = " + ErrnoName(errno));
  NoteStat("stat " + Quote(path), st, InodeNumber(st, AT_FDCWD, path, 0));
}

void Probe::StatFollow(const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) != 0)
    return Note("stat -L " + Quote(path) + " = " + ErrnoName(errno));
  NoteStat("stat -L " + Quote(path), st, InodeNumber(st, AT_FDCWD, path, AT_SYMLINK_FOLLOW));
}

void Probe::Fstat(int fd) {
  struct stat st;
  if (::fstat(fd, &st) != 0) return Note(std::string("fstat = ") + ErrnoName(errno));
  NoteStat("fstat", st, InodeNumber(st, fd, "", AT_EMPTY_PATH));
}

void Probe::Times(const std::string& path, const std::string& kinds) {
  struct stat st;
  if (::lstat(path.c_str(), &st) != 0)
    return Note("times " + Quote(path) + " = " + ErrnoName(errno));
  std::string line = "times " + Quote(path) + " =";
  const int inode = InodeNumber(st, AT_FDCWD, path, 0);
  const auto before = seen_.find(inode);
  for (const char kind : kinds) {
    line += std::string(" ") + kind;
    if (before == seen_.end()) {
      line += "new";
      continue;
    }
    const timespec& then = TimeOf(before->second, kind);
    const timespec& now = TimeOf(st, kind);
    const auto order = std::pair(now.tv_sec, now.tv_nsec) <=> std::pair(then.tv_sec, then.tv_nsec);
    line += order == 0 ? "=" : order > 0 ? "+" : "-";
  }
  seen_[inode] = st;
  Note(line);
}

void Probe::ExactTimes(const std::string& path, const std::string& kinds) {
  struct stat st;
  if (::lstat(path.c_str(), &st) != 0)
    return Note("exact times " + Quote(path) + " = " + ErrnoName(errno));
  std::string line = "exact times " + Quote(path) + " =";
  for (const char kind : kinds) {
    const timespec& time = TimeOf(st, kind);
    line +=
        std::string(" ") + kind + std::to_string(time.tv_sec) + "." + std::to_string(time.tv_nsec);
  }
  Note(line);
}

void Probe::Chmod(const std::string& path, mode_t mode) {
  Do("chmod " + Quote(path) + " " + Octal(mode), [&] { return ::chmod(path.c_str(), mode); });
}

void Probe::Chown(const std::string& path, uid_t uid, gid_t gid, int flags) {
  Do("chown " + Quote(path) + " " + std::to_string(static_cast<int>(uid)) + ":" +
         std::to_string(static_cast<int>(gid)),
     [&] { return ::fchownat(AT_FDCWD, path.c_str(), uid, gid, flags); });
}

void Probe::Utimens(const std::string& path, timespec atime, timespec mtime, int flags) {
  const timespec times[2] = {atime, mtime};
  const auto text = [](const timespec& time) {
    if (time.tv_nsec == UTIME_NOW) return std::string("now");
    if (time.tv_nsec == UTIME_OMIT) return std::string("omit");
    return std::to_string(time.tv_sec) + "." + std::to_string(time.tv_nsec);
  };
  Do("utimens " + Quote(path) + " " + text(atime) + " " + text(mtime),
     [&] { return ::utimensat(AT_FDCWD, path.c_str(), times, flags); });
}

void Probe::Access(const std::string& path, int mode, int flags) {
  Do("access " + Quote(path) + " " + std::to_string(mode) +
         (flags & AT_EACCESS ? " effective" : ""),
     [&] { return ::faccessat(AT_FDCWD, path.c_str(), mode, flags); });
}

void Probe::SetXattr(const std::string& path, const std::string& name, std::string_view value,
                     int flags) {
  Do("setxattr " + Quote(path) + " " + Quote(name) + " " + Describe(value) +
         (flags == XATTR_CREATE    ? " create"
          : flags == XATTR_REPLACE ? " replace"
                                   : ""),
     [&] { return ::lsetxattr(path.c_str(), name.c_str(), value.data(), value.size(), flags); });
}

void Probe::GetXattr(const std::string& path, const std::string& name) {
  std::string value(XATTR_SIZE_MAX, '\0');
  const long n = Do("getxattr " + Quote(path) + " " + Quote(name), [&] {
    return ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
  });
  if (n >= 0) Note("  " + Describe(std::string_view(value).substr(0, static_cast<size_t>(n))));
}

void Probe::ListXattrs(const std::string& path) {
  std::string list(XATTR_LIST_MAX, '\0');
  const ssize_t n = ::llistxattr(path.c_str(), list.data(), list.size());
  if (n < 0) return Note("listxattr " + Quote(path) + " = " + ErrnoName(errno));
  std::vector<std::string> names;
  for (size_t at = 0; at < static_cast<size_t>(n); at += names.back().size() + 1)
    names.push_back(list.data() + at);
  std::sort(names.begin(), names.end());
  Note("listxattr " + Quote(path) + " = " + std::to_string(names.size()));
  for (const std::string& name : names) Note("  " + Quote(name));
}

void Probe::RemoveXattr(const std::string& path, const std::string& name) {
  Do("removexattr " + Quote(path) + " " + Quote(name),
     [&] { return ::lremovexattr(path.c_str(), name.c_str()); });
}

void Probe::Become(uid_t uid, gid_t gid, const std::vector<gid_t>& groups) {
  // The saved ids stay root's, so that the way back is open.
  Do("become " + std::to_string(uid) + ":" + std::to_string(gid), [&] {
    if (::setresuid(0, 0, 0) != 0 || ::setgroups(groups.size(), groups.data()) != 0) return -1;
    if (::setresgid(gid, gid, 0) != 0) return -1;
    return ::setresuid(uid, uid, 0);
  });
}

mode_t Probe::Umask(mode_t mask) {
  Note("umask " + Octal(mask));
  return ::umask(mask);
}

void Probe::Tick() {
  timespec start, now;
  ::clock_gettime(CLOCK_REALTIME, &start);
  // Both clocks: kernels stamp with the coarse one, which lags behind the other.
  do {
    ::sched_yield();
    ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  } while (std::pair(now.tv_sec, now.tv_nsec) <= std::pair(start.tv_sec, start.tv_nsec));
}

}  // namespace pxfs::test
