#include <algorithm>

#include "meta/access.h"
#include "meta/content.h"
#include "meta/keys.h"
#include "meta/local_service_impl.h"

namespace pxfs::meta {
namespace {

const VolumeInfo* Find(const std::vector<VolumeInfo>& volumes, VolumeId id) {
  const auto it = std::find_if(volumes.begin(), volumes.end(),
                               [&](const VolumeInfo& volume) { return volume.id == id; });
  return it == volumes.end() ? nullptr : &*it;
}

// The replica that takes the writes: the primary if its volume can, else another current one.
Result<Replica*> ChoosePrimary(InodeRecord& inode, const std::vector<VolumeInfo>& volumes) {
  Replica* chosen = nullptr;
  Error why(Code::kUnavailable,
            "inode " + std::to_string(inode.attr.inode.value) + " has no current replica");
  for (Replica& replica : inode.replicas) {
    if (replica.state != ReplicaState::kCurrent) continue;
    const VolumeInfo* volume = Find(volumes, replica.volume);
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
    if (!chosen || replica.primary) chosen = &replica;
  }
  if (!chosen) return Fail(std::move(why));
  return chosen;
}

// The content is about to change: what the other replicas hold is the past.
void RaiseGeneration(InodeRecord& inode, Replica* primary) {
  ++inode.attr.generation;
  for (Replica& replica : inode.replicas) {
    replica.primary = &replica == primary;
    if (!replica.primary && replica.state == ReplicaState::kCurrent)
      replica.state = ReplicaState::kStale;
  }
  primary->generation = inode.attr.generation;
  primary->checksum.reset();
}

}  // namespace

Result<Location> LocalService::OpenForWrite(const CallContext& ctx, InodeId inode) {
  PXFS_TRY(sessions_.Require(ctx.session));
  bool opened = false;
  auto location = store_->Run([&](Transaction& tx) -> Result<Location> {
    opened = false;
    PXFS_ASSIGN(const InodePtr before, tx.GetInode(inode));
    if (before->attr.is_directory()) return Fail(Code::kIsDirectory);
    if (!before->attr.is_regular()) return Fail(Code::kInvalid);
    PXFS_TRY(CheckAccess(tx, ctx, *before, kMayWrite));
    if (before->writers > 0) {
      PXFS_ASSIGN(const auto open, tx.Get(keys::OpenForWrite(inode, ctx.session)));
      if (open) return LocationOf(*before);
    }
    PXFS_ASSIGN(InodeRecord * record, tx.EditInode(inode));
    PXFS_ASSIGN(Replica * primary, ChoosePrimary(*record, *volumes_.Current()));
    RaiseGeneration(*record, primary);
    RecordWriter(tx, *record, ctx.session);
    if (record->removed()) PXFS_TRY(orphans_.HoldUntilClosed(tx, inode, ctx.session));
    opened = true;
    return LocationOf(*record);
  });
  if (!location || !opened) return location;
  Notices notices(sessions_, ctx.session);
  notices.Content(inode);
  notices.Attr(inode);
  notices.Send();
  return location;
}

}  // namespace pxfs::meta
