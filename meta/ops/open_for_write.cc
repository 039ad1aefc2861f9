#include <algorithm>

#include "meta/access.h"
#include "meta/content.h"
#include "meta/keys.h"
#include "meta/local_service_impl.h"
#include "meta/placement.h"

namespace pxfs::meta {
namespace {

// The replica that takes the writes: the preferred one if its volume can, else the primary, else
// another current one; one on a volume that is draining comes last. While somebody writes, the
// primary stays what it is.
Result<Replica*> ChoosePrimary(InodeRecord& inode, const std::vector<VolumeInfo>& volumes,
                               VolumeId preferred) {
  const auto rank = [&](const Replica& replica, const VolumeInfo& volume) {
    if (inode.writers == 0 && replica.volume == preferred) return 2;
    if (inode.writers == 0 && volume.state == VolumeState::kDraining) return -1;
    return replica.primary ? 1 : 0;
  };
  int best = 0;
  Replica* chosen = nullptr;
  Error why(Code::kUnavailable,
            "inode " + std::to_string(inode.attr.inode.value) + " has no current replica");
  for (Replica& replica : inode.replicas) {
    if (replica.state != ReplicaState::kCurrent) continue;
    const VolumeInfo* volume = FindVolume(volumes, replica.volume);
    if (!volume || volume->state == VolumeState::kOffline) {
      const std::string name =
          volume ? volume->name : "number " + std::to_string(replica.volume.value);
      why = Error(Code::kUnavailable, "volume " + name + ", which holds the file, is offline");
      continue;
    }
    if (volume->state == VolumeState::kReadOnly) {
      why =
          Error(Code::kReadOnly, "volume " + volume->name + ", which holds the file, is read-only");
      continue;
    }
    const int its = rank(replica, *volume);
    if (chosen && its <= best) continue;
    chosen = &replica;
    best = its;
  }
  if (!chosen) return Fail(std::move(why));
  return chosen;
}

// The content is about to change: what the other replicas hold is the past.
// True when some were good until now.
bool RaiseGeneration(InodeRecord& inode, Replica* primary) {
  bool outdated = false;
  ++inode.attr.generation;
  for (Replica& replica : inode.replicas) {
    replica.primary = &replica == primary;
    if (!replica.primary && replica.state == ReplicaState::kCurrent) {
      replica.state = ReplicaState::kStale;
      outdated = true;
    }
  }
  primary->generation = inode.attr.generation;
  primary->checksum.reset();
  return outdated;
}

}  // namespace

Result<Location> LocalService::OpenForWrite(const CallContext& ctx, InodeId inode,
                                            VolumeId preferred) {
  PXFS_TRY(sessions_.Require(ctx.session));
  bool opened = false, outdated = false;
  auto location = store_->Run([&](Transaction& tx) -> Result<Location> {
    opened = false;
    PXFS_ASSIGN(const InodePtr before, tx.GetInode(inode));
    if (before->attr.is_directory()) return Fail(Code::kIsDirectory);
    if (!before->attr.is_regular()) return Fail(Code::kInvalid);
    PXFS_TRY(CheckAccess(tx, ctx, *before, kMayWrite));
    PXFS_TRY(CheckNotImmutable(*before));
    if (before->writers > 0) {
      PXFS_ASSIGN(const auto open, tx.Get(keys::OpenForWrite(inode, ctx.session)));
      if (open) return LocationOf(*before);
    }
    PXFS_ASSIGN(InodeRecord * record, tx.EditInode(inode));
    PXFS_ASSIGN(Replica * primary, ChoosePrimary(*record, *volumes_.Current(), preferred));
    outdated = RaiseGeneration(*record, primary);
    RecordWriter(tx, *record, ctx.session);
    if (record->writers == 1) PXFS_TRY(PlanMove(*record, *primary));
    if (record->removed()) PXFS_TRY(orphans_.HoldUntilClosed(tx, inode, ctx.session));
    opened = true;
    return LocationOf(*record);
  });
  if (!location || !opened) return ByPolicy(std::move(location));
  // Else, after loss of power, copies could count as good that differ from what was written to the
  // primary.
  if (outdated) PXFS_TRY(Sync());
  Notices notices(sessions_, ctx.session);
  notices.Content(inode);
  notices.Attr(inode);
  notices.Send();
  return ByPolicy(std::move(location));
}

}  // namespace pxfs::meta
