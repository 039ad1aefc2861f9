// Unix stream sockets: binding, connecting, and who is at the other end.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pxfs::rpc {

// A listening socket at a path, and the file that it made there.
struct UnixListener {
  UniqueFd socket;
  std::string path;
  dev_t device = 0;
  ino_t inode = 0;
};

// Binds `path` with mode 0666 and listens. kBusy: somebody listens there; kExists: something that
// is no socket is there. A socket that nobody listens on is replaced, also where a process that has
// ended left it open to what it forked; two that try at once do not both succeed.
Result<UnixListener> ListenUnixSocket(const std::string& path);
// Removes the file, unless another one has taken its place (which has another inode number as long
// as the listener's socket is open).
void RemoveSocketFile(const UnixListener& listener) noexcept;

// kUnavailable when nobody listens.
Result<UniqueFd> ConnectUnixSocket(const std::string& path);

struct Credentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
};
Result<Credentials> PeerCredentials(int socket);

}  // namespace pxfs::rpc
