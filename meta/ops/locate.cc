#include "meta/access.h"
#include "meta/content.h"
#include "meta/local_service_impl.h"

namespace pxfs::meta {

Result<Location> LocalService::Locate(const CallContext& ctx, InodeId inode) {
  if (!ctx.check_access) return LocateUnchecked(inode);
  return store_->Read([&](Transaction& tx) -> Result<Location> {
    PXFS_ASSIGN(const InodePtr record, tx.GetInode(inode));
    PXFS_TRY(CheckAccess(tx, ctx, *record, kMayRead));
    return LocationOf(*record);
  });
}

}  // namespace pxfs::meta
