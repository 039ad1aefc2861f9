// The answering side of rpc: a Unix socket, one thread a connection, peers known by their
// credentials.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pxfs::rpc {

// Who is at the other end, as the kernel says (SO_PEERCRED, and the supplementary groups).
struct Peer {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  uint64_t connection = 0;  // distinct for every connection of this server
  uint64_t client = 0;  // the client's own number, the same on all its connections; only a claim
  uint64_t request =
      0;  // the client's number of this call: a call that is repeated keeps its number
  // The connection, for poll(2) alone: a handler that waits long looks for POLLRDHUP. Valid within
  // a handler.
  int socket = -1;

  // Root, and the user that the server runs as.
  bool trusted() const;
};

// Takes the serialized request and returns the serialized reply. Runs on the connection's thread
// and may block. What it throws is logged and answered with kIo.
using Handler = std::function<Result<std::string>(const Peer& peer, std::string_view request)>;

// Services and their numbers on the wire; never renumbered.
enum class Service : uint16_t { kControl = 0, kMetadata = 1, kJobs = 2 };

class Server {
 public:
  virtual ~Server() = default;
  // Before Start only.
  virtual void Register(Service service, uint16_t method, Handler handler) = 0;
  // Called when a connection has ended, after its last handler returned. Before Start only.
  virtual void OnDisconnect(std::function<void(const Peer&)> callback) = 0;
  // Called when Stop begins: handlers that wait for something must return now. Before Start only.
  virtual void OnStop(std::function<void()> callback) = 0;
  // Begins to answer.
  virtual Status Start() = 0;
  // Takes no new connections from now on, and removes the socket file; connections that exist go
  // on.
  virtual void StopListening() = 0;
  // Takes new connections again after StopListening. kBusy: somebody else listens there by now.
  virtual Status ListenAgain() = 0;
  // Ends every connection once its running handler has returned, and waits for that. A handler's
  // kUnavailable is not sent then: to the client the connection was lost. Not from a handler.
  virtual void Stop() = 0;
  virtual size_t connections() const = 0;
};

// A server on the Unix socket `path` (mode 0666: peers are known by credentials, not by permission
// bits). A socket file that nobody listens on any more is replaced; one that is in use is kBusy.
// Paths longer than a socket address takes are reached through their directory.
Result<std::unique_ptr<Server>> ListenUnix(const std::string& path);

}  // namespace pxfs::rpc
