// The metadata service of another process, over its socket; and the server side that answers.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "meta/service.h"

namespace pxfs::rpc {
class Server;
}

namespace pxfs::meta {

// A client of the Unix socket at `socket_path`.
//
// A connection that breaks is made again, the sessions of this client are resumed, and calls are
// repeated, for up to `retry`; then they fail with kUnavailable. What a repeated call means:
//   - Calls that change nothing are simply made again.
//   - Calls that change something are made again under the same number: a server that has run them
//   already answers
//     as it did the first time.
//   - Across a restart of the server, those with a CallContext carry CallContext::request (given by
//   this client where
//     the caller gives none), by which the service recognises what it had done. The others have the
//     same effect when they are made twice, but AddVolume and CloseSession may then say that there
//     is nothing left to do (kExists, kInvalid).
// After a restart of the server every listener is told to drop everything
// (Invalidation::Kind::kAll).
struct RemoteOptions {
  std::string socket_path;
  std::chrono::milliseconds retry{30'000};
};
// kUnavailable: nobody listens; kNotSupported: another version of the protocol; kNotImplemented: no
// metadata service. Destroying it leaves its sessions open for a successor; the server closes them
// after its grace time.
Result<std::unique_ptr<MetadataService>> ConnectRemoteService(const RemoteOptions& options);

struct ServeOptions {
  // How long the sessions of a client that is gone stay open.
  std::chrono::milliseconds session_grace{10'000};
};
// Answers for `service` on `server`, before its Start. Root and the server's own user may call
// everything; others may read what their credentials allow, and change nothing (kNotPermitted).
// `service` outlives `server`.
void RegisterMetadataService(rpc::Server& server, MetadataService& service,
                             const ServeOptions& options = {});

}  // namespace pxfs::meta
