// The asking side of rpc: blocking calls over a pool of connections to one Unix socket.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "rpc/server.h"

namespace pxfs::rpc {

// How far a call got.
enum class Outcome : uint8_t {
  kAnswered,  // the peer has answered, with a reply or an error
  kNotSent,   // the peer has not run it and will not
  kUnknown,   // the connection failed later: the peer may have run it
};

class Client {
 public:
  virtual ~Client() = default;
  // Sends the request and waits for the reply. Thread-safe: each call in flight has a connection to
  // itself. The error is the handler's own, or the connection's, which `outcome` (if given) tells
  // apart. `number`: of an earlier call that this one repeats (0: a new call).
  virtual Result<std::string> Call(Service service, uint16_t method, std::string_view request,
                                   Outcome* outcome = nullptr, uint64_t number = 0) = 0;
  // A number for a call that may have to be repeated.
  virtual uint64_t NewNumber() = 0;
  // Ends the calls in flight with kUnavailable and refuses further ones. Thread-safe.
  virtual void Close() = 0;
};

// Connects once, to see that somebody answers and that the protocol versions agree. Later
// connections are made as calls need them. kUnavailable: nobody listens; kNotSupported: another
// version; kTooManyOpen: the server has enough connections of this user.
Result<std::unique_ptr<Client>> ConnectUnix(const std::string& path);

}  // namespace pxfs::rpc
