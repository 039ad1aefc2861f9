#include "meta/local_service_impl.h"

namespace pxfs::meta {

Status LocalService::Forget(SessionId session, std::span<const InodeId> inodes) {
  if (inodes.empty()) return {};
  PXFS_TRY(store_->Run([&](Transaction& tx) -> Status {
    for (const InodeId inode : inodes)
      PXFS_TRY(orphans_.Release(tx, inode, session, /*closed_only=*/false));
    return {};
  }));
  reclaim_.Announce();
  return {};
}

}  // namespace pxfs::meta
