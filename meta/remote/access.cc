#include "meta/remote/access.h"

namespace pxfs::meta::remote {

Status CheckAccess(Access access, const rpc::Peer& peer) {
  if (peer.trusted()) return {};
  switch (access) {
    case Access::kAnybody:
    case Access::kReader:
      return {};
    case Access::kTrusted:
    case Access::kChange:
      return Fail(Code::kNotPermitted,
                  "user " + std::to_string(peer.uid) +
                      " may only read files' metadata here; do this as root, or through a mount");
  }
  return Fail(Code::kNotPermitted);
}

CallContext ContextOf(const rpc::Peer& peer) {
  CallContext context;
  context.uid = peer.uid;
  context.gid = peer.gid;
  context.check_access = true;
  context.groups.assign(peer.groups.begin(), peer.groups.end());
  return context;
}

Status CheckReachable(MetadataService& service, const CallContext& peer, InodeId inode) {
  if (inode == kRootInode) return {};
  const auto path = service.PathOf(inode);
  // That it does not exist is as much as that it cannot be reached.
  if (!path) return Fail(Code::kAccess);
  const auto reached = service.Resolve(peer, kRootInode, *path, /*follow_last=*/false);
  if (!reached || reached->inode != inode) return Fail(Code::kAccess);
  return {};
}

}  // namespace pxfs::meta::remote
