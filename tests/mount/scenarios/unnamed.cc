// Files without a name: O_TMPFILE, linkat(2) by descriptor, and what was removed while it is open.
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdio>

#include "tests/mount/scenario.h"

namespace pxfs::test {
namespace {

void LinkByProc(Probe& p, int fd, const std::string& to) {
  const std::string from = "/proc/self/fd/" + std::to_string(fd);
  p.Do("link by descriptor to " + Quote(to),
       [&] { return ::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), AT_SYMLINK_FOLLOW); });
}

void LinkByEmptyPath(Probe& p, int fd, const std::string& to) {
  p.Do("link by empty path to " + Quote(to),
       [&] { return ::linkat(fd, "", AT_FDCWD, to.c_str(), AT_EMPTY_PATH); });
}

}  // namespace

PXFS_SCENARIO(UnnamedFilesAndTheirFlags) {
  p.Mkdir("d");
  p.Make("f", "x");
  for (const int flags : {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_EXCL, O_RDWR | O_CREAT,
                          O_RDWR | O_TRUNC, O_RDWR | O_NOFOLLOW, O_WRONLY | O_APPEND}) {
    for (const char* where : {"d", "f", "missing", "d/"}) {
      const int fd = p.Open(where, flags | O_TMPFILE, 0640);
      if (fd < 0) continue;
      p.Fstat(fd);
      p.Write(fd, "content");
      p.Fstat(fd);
      p.Close(fd);
    }
  }
  p.List("d");
  p.Stat("d");
}

PXFS_SCENARIO(UnnamedFilesAndLinking) {
  p.Mkdir("d");
  for (const bool exclusive : {false, true}) {
    const int fd = p.Open("d", O_TMPFILE | O_RDWR | (exclusive ? O_EXCL : 0), 0600);
    p.Write(fd, "content");
    LinkByProc(p, fd, "d/missing/x");
    LinkByProc(p, fd, "d/one");
    p.Fstat(fd);
    LinkByProc(p, fd, "d/one");
    LinkByEmptyPath(p, fd, "d/two");
    p.Fstat(fd);
    p.Content("d/one");
    p.Content("d/two");
    p.Unlink("d/one");
    p.Unlink("d/two");
    p.Fstat(fd);
    LinkByProc(p, fd, "d/three");  // once it had a name and lost it, it gets none any more
    p.Fstat(fd);
    p.Pwrite(fd, "still", 0);
    p.Pread(fd, 20, 0);
    p.Close(fd);
    p.List("d");
  }
}

PXFS_SCENARIO(UnnamedFilesAndAttributes) {
  p.Mkdir("d");
  p.Chmod("d", 0777);
  p.Become(1000, 1000);
  const int fd = p.Open("d", O_TMPFILE | O_RDWR, 0666);
  p.Do("fchmod", [&] { return ::fchmod(fd, 0444); });
  p.Do("fchown", [&] { return ::fchown(fd, 1000, 1000); });
  p.Do("fchown to root", [&] { return ::fchown(fd, 0, 0); });
  p.Do("fsetxattr", [&] { return ::fsetxattr(fd, "user.a", "v", 1, 0); });
  p.Ftruncate(fd, 4096);
  const timespec times[2] = {{1, 2}, {3, 4}};
  p.Do("futimens", [&] { return ::futimens(fd, times); });
  p.Do("fsync", [&] { return ::fsync(fd); });
  LinkByEmptyPath(p, fd, "d/empty");  // needs a capability
  LinkByProc(p, fd, "d/named");
  p.Close(fd);
  p.Stat("d/named");
  p.ExactTimes("d/named");
  p.GetXattr("d/named", "user.a");
  p.Become(0, 0);
  p.Mkdir("closed", 0755);
  p.Become(1000, 1000);
  p.Open("closed", O_TMPFILE | O_RDWR, 0600);
}

PXFS_SCENARIO(UnnamedAfterRemovalOfEachType) {
  p.Make("file", "content");
  p.Mkdir("dir");
  p.Mknod("fifo", S_IFIFO | 0600);
  p.Mknod("null", S_IFCHR | 0600, 0x103);
  p.Symlink("t", "link");
  const int file = p.Open("file", O_RDWR);
  const int directory = p.Open("dir", O_RDONLY | O_DIRECTORY);
  const int fifo = p.Open("fifo", O_RDWR);
  const int device = p.Open("null", O_RDWR);
  const int link = p.Open("link", O_PATH | O_NOFOLLOW);
  for (const char* name : {"file", "fifo", "null", "link"}) p.Unlink(name);
  p.Rmdir("dir");
  for (const int fd : {file, directory, fifo, device, link}) p.Fstat(fd);
  p.Pread(file, 20, 0);
  p.Write(fifo, "through");
  p.Read(fifo, 7);
  p.Write(device, "gone");
  p.Read(device, 4);
  p.Do("mkdirat", [&] { return ::mkdirat(directory, "x", 0755); });
  p.Do("openat", [&] { return ::openat(directory, "x", O_RDWR | O_CREAT | O_CLOEXEC, 0644); });
  p.Do("openat ..", [&] { return ::faccessat(directory, "..", R_OK, 0); });
  p.Do("readlinkat", [&] {
    char target[8];
    return ::readlinkat(link, "", target, sizeof target);
  });
  for (const int fd : {file, directory, fifo, device}) {
    p.Do("fchmod", [&] { return ::fchmod(fd, 0700); });
    p.Fstat(fd);
  }
  for (const int fd : {file, fifo, device}) LinkByProc(p, fd, "again");
}

PXFS_SCENARIO(UnnamedSocket) {
  const int server = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{AF_UNIX, "s"};
  const auto* name = reinterpret_cast<const sockaddr*>(&address);
  p.Do("bind", [&] { return ::bind(server, name, sizeof address); });
  p.Do("bind again", [&] {
    return ::bind(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), name, sizeof address);
  });
  p.Do("listen", [&] { return ::listen(server, 4); });
  p.Stat("s");
  p.Open("s", O_RDWR);
  p.Link("s", "other");
  p.Rename("s", "moved");
  const auto connect = [&](const char* path) {
    sockaddr_un to{AF_UNIX, {}};
    std::snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    const int client = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    p.Do(std::string("connect ") + path,
         [&] { return ::connect(client, reinterpret_cast<const sockaddr*>(&to), sizeof to); });
    ::close(client);
  };
  connect("other");
  connect("moved");
  connect("s");
  p.Chmod("moved", 0600);
  p.Become(1000, 1000);
  connect("moved");
  p.Become(0, 0);
  p.Unlink("moved");
  p.Unlink("other");
  connect("moved");
}

}  // namespace pxfs::test
