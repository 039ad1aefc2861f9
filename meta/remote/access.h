// What a peer that is neither root nor the server's own user may do: read, as itself.
#pragma once

#include "base/result.h"
#include "meta/remote/methods.h"
#include "meta/service.h"
#include "rpc/server.h"

namespace pxfs::meta::remote {

// kNotPermitted, with words for people, where the peer may not call such a method at all.
Status CheckAccess(Access access, const rpc::Peer& peer);

// The peer's own credentials, to be checked; no session.
CallContext ContextOf(const rpc::Peer& peer);

// Inode numbers are no capabilities: the peer must be able to reach the inode by its path. kAccess.
Status CheckReachable(MetadataService& service, const CallContext& peer, InodeId inode);

// Makes the arguments of a reading call those that an untrusted peer is entitled to.
template <typename... A>
Status Restrict(MetadataService& service, const rpc::Peer& peer, std::tuple<A...>& arguments) {
  const CallContext context = ContextOf(peer);
  if constexpr (std::is_same_v<std::tuple_element_t<0, std::tuple<A...>>, CallContext>)
    std::get<CallContext>(arguments) = context;
  return CheckReachable(service, context, std::get<InodeId>(arguments));
}

}  // namespace pxfs::meta::remote
