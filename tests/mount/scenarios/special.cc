// FIFOs, sockets and device nodes: made, and used.
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cstring>

#include "tests/mount/scenario.h"

namespace pxfs::test {

PXFS_SCENARIO(SpecialNodes) {
  p.Mknod("fifo", S_IFIFO | 0640);
  p.Mknod("socket", S_IFSOCK | 0600);
  p.Mknod("char", S_IFCHR | 0666, makedev(1, 3));
  p.Mknod("block", S_IFBLK | 0660, makedev(7, 300));
  p.Mknod("large", S_IFCHR | 0600, makedev(4'000, 1'000'000));
  p.Mknod("file", S_IFREG | 0644);
  p.Mknod("untyped", 0644);
  p.Mknod("dir", S_IFDIR | 0755);
  p.Mknod("fifo", S_IFIFO | 0640);
  p.Tree(".");
  p.Become(1000, 1000);
  p.Mknod("mine", S_IFCHR | 0666, makedev(1, 3));
  p.Become(0, 0);
}

PXFS_SCENARIO(CharacterDeviceWorks) {
  p.Mknod("null", S_IFCHR | 0666, makedev(1, 3));
  p.Mknod("zero", S_IFCHR | 0666, makedev(1, 5));
  const int null = p.Open("null", O_RDWR);
  p.Write(null, "swallowed");
  p.Read(null, 10);
  const int zero = p.Open("zero", O_RDONLY);
  p.Read(zero, 8);
  p.Open("null", O_WRONLY | O_TRUNC);
  p.Mknod("nodevice", S_IFCHR | 0666, makedev(250, 250));
  p.Open("nodevice", O_RDONLY);
}

PXFS_SCENARIO(FifoCarriesData) {
  p.Mknod("fifo", S_IFIFO | 0600);
  p.Open("fifo", O_WRONLY | O_NONBLOCK);  // no reader
  const int reader = p.Open("fifo", O_RDONLY | O_NONBLOCK);
  const int writer = p.Open("fifo", O_WRONLY);
  p.Write(writer, "through the fifo");
  p.Read(reader, 100);
  p.Close(writer);
  p.Read(reader, 100);
  p.Stat("fifo");
  p.Unlink("fifo");
}

PXFS_SCENARIO(FifoBetweenProcesses) {
  p.Mknod("fifo", S_IFIFO | 0600);
  const pid_t child = ::fork();
  if (child == 0) {
    const int fd = ::open("fifo", O_WRONLY);
    ::_exit(::write(fd, "from the child", 14) == 14 ? 0 : 1);
  }
  const int fd = p.Open("fifo", O_RDONLY);
  p.Read(fd, 100);
  int status = 0;
  p.Do("child", [&] { return ::waitpid(child, &status, 0) == child ? status : -1; });
}

PXFS_SCENARIO(SocketAcceptsConnections) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, "socket");
  const auto* where = reinterpret_cast<const sockaddr*>(&address);
  const int server = ::socket(AF_UNIX, SOCK_STREAM, 0);
  p.Do("bind", [&] { return ::bind(server, where, sizeof address); });
  p.Do("bind again",
       [&] { return ::bind(::socket(AF_UNIX, SOCK_STREAM, 0), where, sizeof address); });
  p.Stat("socket");
  p.Do("listen", [&] { return ::listen(server, 1); });
  const int client = ::socket(AF_UNIX, SOCK_STREAM, 0);
  p.Do("connect", [&] { return ::connect(client, where, sizeof address); });
  const int accepted =
      static_cast<int>(p.Try("accept", [&] { return ::accept(server, nullptr, nullptr); }));
  p.Write(client, "hello");
  p.Read(accepted, 10);
  p.Open("socket", O_RDONLY);
  p.Rename("socket", "moved");
  std::strcpy(address.sun_path, "moved");
  p.Do("connect to the new name",
       [&] { return ::connect(::socket(AF_UNIX, SOCK_STREAM, 0), where, sizeof address); });
  p.Unlink("moved");
  p.Do("connect to no name",
       [&] { return ::connect(::socket(AF_UNIX, SOCK_STREAM, 0), where, sizeof address); });
}

}  // namespace pxfs::test
