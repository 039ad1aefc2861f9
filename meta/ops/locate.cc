#include "meta/access.h"
#include "meta/content.h"
#include "meta/local_service_impl.h"
#include "meta/placement.h"

namespace pxfs::meta {

Result<Location> LocalService::Locate(const CallContext& ctx, InodeId inode) {
  if (!ctx.check_access) return LocateUnchecked(inode);
  return ByPolicy(store_->Read([&](Transaction& tx) -> Result<Location> {
    PXFS_ASSIGN(const InodePtr record, tx.GetInode(inode));
    PXFS_TRY(CheckAccess(tx, ctx, *record, kMayRead));
    return LocationOf(*record);
  }));
}

Result<Location> LocalService::ByPolicy(Result<Location> location) const {
  if (!location || !policies_.speaks_of_writing()) return location;
  const auto policy = policies_.View(location->attr.inode);
  // Without a name, it is under no policy.
  if (!policy && policy.error() == Code::kNotFound) return location;
  if (!policy) return Fail(policy.error());
  const bool commits = policy->effective.commit_close.value_or(false);
  location->relayed = commits || !policy->effective.passthrough.value_or(true);
  location->commit_copies = commits ? WantedCopies(policy->effective, location->wishes) : 0;
  return location;
}

}  // namespace pxfs::meta
