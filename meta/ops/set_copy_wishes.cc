#include <algorithm>

#include "meta/access.h"
#include "meta/copy_queue.h"
#include "meta/keys.h"
#include "meta/local_service_impl.h"
#include "meta/placement.h"

namespace pxfs::meta {
namespace {

// What is new among the wishes must be possible now; what was asked for before may have become
// impossible since.
Status CheckNewVolumes(const std::vector<VolumeInfo>& volumes, const InodeRecord& inode,
                       const CopyWishes& wishes) {
  for (const VolumeId id : wishes.volumes) {
    if (inode.wishes.volumes.contains(id)) continue;
    const bool holds =
        std::any_of(inode.replicas.begin(), inode.replicas.end(), [&](const Replica& replica) {
          return replica.volume == id && replica.state == ReplicaState::kCurrent;
        });
    if (!holds) PXFS_TRY(CanTakeCopy(*FindVolume(volumes, id), inode.attr.size_bytes));
  }
  return {};
}

}  // namespace

Status LocalService::SetCopyWishes(const CallContext& ctx, InodeId inode,
                                   const CopyWishes& wishes) {
  const VolumeTable::Snapshot volumes = volumes_.Current();
  if (wishes.copies > volumes->size())
    return Fail(Code::kInvalid, std::to_string(wishes.copies) + " copies: there are only " +
                                    std::to_string(volumes->size()) + " volumes");
  for (const VolumeId volume : wishes.volumes) {
    if (!FindVolume(*volumes, volume))
      return Fail(Code::kInvalid, "no volume " + std::to_string(volume.value));
  }
  return store_->Run([&](Transaction& tx) -> Status {
    PXFS_ASSIGN(const InodePtr before, tx.GetInode(inode));
    if (!before->attr.is_regular()) return Fail(Code::kInvalid, "not a regular file");
    if (!Owns(ctx, before->attr)) return Fail(Code::kNotPermitted);
    PXFS_TRY(CheckNewVolumes(*volumes, *before, wishes));
    PXFS_ASSIGN(InodeRecord * record, tx.EditInode(inode));
    record->wishes = wishes;
    // Also where nothing has changed: whoever asks again may wait for it.
    PXFS_ASSIGN(const uint64_t number, store_->NewTicket());
    tx.Put(keys::Record(KeyOf({CopyReason::kWish, inode, number})), "");
    return {};
  });
}

}  // namespace pxfs::meta
