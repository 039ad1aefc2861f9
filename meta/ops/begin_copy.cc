#include <algorithm>

#include "meta/content.h"
#include "meta/keys.h"
#include "meta/local_service_impl.h"
#include "meta/placement.h"

namespace pxfs::meta {
Result<CopyTicket> LocalService::BeginCopy(const CallContext& ctx, InodeId inode, VolumeId target) {
  PXFS_TRY(sessions_.Require(ctx.session));
  const std::string reservation = keys::Reservation(ctx.session, inode);
  return store_->Run([&](Transaction& tx) -> Result<CopyTicket> {
    PXFS_ASSIGN(const InodePtr before, tx.GetInode(inode));
    if (!before->attr.is_regular()) return Fail(Code::kInvalid, "not a regular file");
    if (before->removed()) return Fail(Code::kNotFound);
    if (before->writers > 0) return Fail(Code::kBusy, "open for writing");
    for (const Replica& replica : before->replicas) {
      if (replica.volume == target && replica.state == ReplicaState::kCurrent)
        return Fail(Code::kExists, "a copy is there already");
    }
    const VolumeTable::Snapshot volumes = volumes_.Current();
    const VolumeInfo* place = FindVolume(*volumes, target);
    if (!place) return Fail(Code::kNotFound, "no volume " + std::to_string(target.value));
    PXFS_TRY(CanTakeCopy(*place, before->attr.size_bytes));
    PXFS_ASSIGN(const auto reserved, tx.Get(reservation));
    if (reserved) return Fail(Code::kBusy, "a copy is under way");
    PXFS_ASSIGN(InodeRecord * record, tx.EditInode(inode));
    record->last_object = NextObjectGeneration(*record);
    tx.Put(reservation, Encode(ReservationRecord{false, target, record->last_object, true}));
    return CopyTicket{LocationOf(*record), {inode, target, record->last_object}};
  });
}

}  // namespace pxfs::meta
