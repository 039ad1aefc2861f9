#include "rpc/unix_socket.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/process.h"

namespace pxfs::rpc {
namespace {

// The address of a path. sun_path takes 107 bytes; a longer path is named through a descriptor of
// its directory, which must stay open while the address is used.
struct Address {
  sockaddr_un un{};
  UniqueFd directory;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&un); }
};

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<Address> MakeAddress(const std::string& path) {
  Address address;
  address.un.sun_family = AF_UNIX;
  std::string name = path;
  if (name.size() >= sizeof address.un.sun_path) {
    PXFS_ASSIGN(address.directory, OpenAt(AT_FDCWD, DirectoryOf(path), O_PATH | O_DIRECTORY));
    name =
        "/proc/self/fd/" + std::to_string(address.directory.get()) + path.substr(path.rfind('/'));
  }
  if (path.empty() || name.size() >= sizeof address.un.sun_path)
    return Fail(Code::kNameTooLong, "socket " + path + ": its name is too long or empty");
  std::memcpy(address.un.sun_path, name.c_str(), name.size() + 1);
  return address;
}

Result<UniqueFd> NewSocket() {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return FailErrno(errno, "socket");
  return fd;
}

int ConnectRetrying(int fd, const Address& address) {
  int outcome;
  do {
    outcome = ::connect(fd, address.get(), sizeof address.un);
  } while (outcome != 0 && errno == EINTR);
  return outcome;
}

// Whether the process that listens there has ended: what it forked just before holds its sockets
// until it runs another program. A process of another PID namespace has no number here, and lives.
bool ListenerHasEnded(const UniqueFd& connection) {
  const auto peer = PeerCredentials(connection.get());
  return peer && peer->pid > 0 && HasEnded(peer->pid);
}

// Unlinks a socket file that nobody listens on.
Status RemoveStale(const std::string& path, const Address& address) {
  struct stat st;
  if (::lstat(path.c_str(), &st) != 0) {
    if (errno == ENOENT) return {};
    return FailErrno(errno, path);
  }
  if (!S_ISSOCK(st.st_mode))
    return Fail(Code::kExists, path + ": exists and is not a socket; move it away");
  PXFS_ASSIGN(const UniqueFd probe, NewSocket());
  if (ConnectRetrying(probe.get(), address) == 0) {
    if (!ListenerHasEnded(probe))
      return Fail(Code::kBusy, path + ": another process listens there");
  } else if (errno != ECONNREFUSED && errno != ENOENT) {
    return FailErrno(errno, path);
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return FailErrno(errno, path);
  return {};
}

}  // namespace

Result<UnixListener> ListenUnixSocket(const std::string& path) {
  PXFS_ASSIGN(const Address address, MakeAddress(path));
  PXFS_ASSIGN(const UniqueFd directory,
              OpenAt(AT_FDCWD, DirectoryOf(path), O_RDONLY | O_DIRECTORY));
  // Looking, unlinking and binding are one step to others that do the same.
  if (::flock(directory.get(), LOCK_EX) != 0) return FailErrno(errno, DirectoryOf(path));
  PXFS_TRY(RemoveStale(path, address));

  UnixListener listener;
  listener.path = path;
  PXFS_ASSIGN(listener.socket, NewSocket());
  if (::bind(listener.socket.get(), address.get(), sizeof address.un) != 0)
    return FailErrno(errno, path);
  struct stat st;
  if (::chmod(path.c_str(), 0666) != 0 || ::lstat(path.c_str(), &st) != 0 ||
      ::listen(listener.socket.get(), SOMAXCONN) != 0) {
    const int error = errno;
    ::unlink(path.c_str());
    return FailErrno(error, path);
  }
  listener.device = st.st_dev;
  listener.inode = st.st_ino;
  return listener;
}

void RemoveSocketFile(const UnixListener& listener) noexcept {
  struct stat st;
  if (::lstat(listener.path.c_str(), &st) == 0 && st.st_dev == listener.device &&
      st.st_ino == listener.inode)
    ::unlink(listener.path.c_str());
}

Result<UniqueFd> ConnectUnixSocket(const std::string& path) {
  auto address = MakeAddress(path);
  if (!address && address.error() == Code::kNotFound)
    return Fail(Code::kUnavailable, path + ": nobody listens there");
  if (!address) return Fail(address.error());
  PXFS_ASSIGN(UniqueFd fd, NewSocket());
  if (ConnectRetrying(fd.get(), *address) == 0) return fd;
  if (errno == ECONNREFUSED || errno == ENOENT || errno == ENOTSOCK)
    return Fail(Code::kUnavailable, path + ": nobody listens there");
  return FailErrno(errno, path);
}

Result<Credentials> PeerCredentials(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    return FailErrno(errno, "credentials of the peer");
  Credentials credentials{peer.pid, peer.uid, peer.gid, {}};
  // Asked with too little room, the kernel tells how much it takes.
  size = 0;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, nullptr, &size) != 0 && errno != ERANGE)
    return FailErrno(errno, "groups of the peer");
  credentials.groups.resize(size / sizeof(gid_t));
  if (size > 0 &&
      ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, credentials.groups.data(), &size) != 0)
    return FailErrno(errno, "groups of the peer");
  return credentials;
}

}  // namespace pxfs::rpc
