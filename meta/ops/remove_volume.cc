#include <algorithm>

#include "base/logging.h"
#include "meta/keys.h"
#include "meta/local_service_impl.h"
#include "meta/lost_volumes.h"
#include "meta/placement.h"

namespace pxfs::meta {
namespace {

// Another replica that has the content, best one that can be reached.
Replica* Heir(InodeRecord& inode, VolumeId lost, const std::vector<VolumeInfo>& volumes) {
  Replica* heir = nullptr;
  for (Replica& other : inode.replicas) {
    const VolumeInfo* volume = FindVolume(volumes, other.volume);
    if (other.volume == lost || other.state != ReplicaState::kCurrent || !volume) continue;
    if (!heir || volume->state != VolumeState::kOffline) heir = &other;
  }
  return heir;
}

}  // namespace

Status LocalService::ForgetReplica(InodeId inode, VolumeId volume) {
  const VolumeTable::Snapshot volumes = volumes_.Current();
  return store_->Run([&](Transaction& tx) -> Status {
    auto edited = tx.EditInode(inode);
    if (!edited && edited.error() == Code::kNotFound) return {};
    if (!edited) return Fail(edited.error());
    InodeRecord& record = **edited;
    const auto lost = [&](const Replica& replica) { return replica.volume == volume; };
    const auto primary =
        std::find_if(record.replicas.begin(), record.replicas.end(),
                     [&](const Replica& replica) { return lost(replica) && replica.primary; });
    if (primary != record.replicas.end()) {
      if (Replica* heir = Heir(record, volume, *volumes)) {
        primary->primary = false;
        heir->primary = true;
      } else {
        primary->state = ReplicaState::kMissing;
      }
    }
    std::erase_if(record.replicas,
                  [&](const Replica& replica) { return lost(replica) && !replica.primary; });
    record.wishes.volumes.erase(volume);
    return LookAtCopies(tx, inode);
  });
}

Status LocalService::CheckUnused(const VolumeInfo& volume) {
  PXFS_ASSIGN(const auto inodes, ListVolumeInodes(volume.id, {}, 1));
  if (!inodes.empty())
    return Fail(Code::kNotEmpty,
                "volume " + volume.name + " holds files" +
                    (volume.state == VolumeState::kOffline
                         ? " and is out of reach; bring it back, or forget what lies there with "
                           "--lost"
                         : "; move them off it with: pxfs volume drain " + volume.name));
  bool used = false;
  const auto look = [&](std::span<const Replica> replicas) {
    for (const Replica& replica : replicas) used |= replica.volume == volume.id;
  };
  Status status;
  const std::string queue = keys::Make(keys::Family::kReclaim);
  PXFS_TRY(store_->engine().Scan(queue, keys::EndOf(queue),
                                 [&](std::string_view key, std::string_view value) {
                                   const auto record = Decode<ReclaimRecord>(key, value);
                                   if (!record) status = Fail(record.error());
                                   if (record) look(record->replicas);
                                   return record && !used;
                                 }));
  PXFS_TRY(status);
  const std::string reserved = keys::Make(keys::Family::kReservation);
  PXFS_TRY(store_->engine().Scan(reserved, keys::EndOf(reserved),
                                 [&](std::string_view key, std::string_view value) {
                                   const auto record = Decode<ReservationRecord>(key, value);
                                   if (!record) status = Fail(record.error());
                                   if (record) used |= record->volume == volume.id;
                                   return record && !used;
                                 }));
  PXFS_TRY(status);
  if (used)
    return Fail(Code::kBusy, "objects on volume " + volume.name + " are still to be deleted");
  const InodeId pinned = policies_.PinnedTo(volume.name);
  if (!pinned) return {};
  const auto path = PathOf(pinned);
  return Fail(Code::kInvalid, "the policy of " + (path ? *path : std::string("a directory")) +
                                  " pins volume " + volume.name + "; change that first");
}

Status LocalService::RemoveVolume(VolumeId id, bool lost) {
  const VolumeTable::Snapshot volumes = volumes_.Current();
  const VolumeInfo* found = FindVolume(*volumes, id);
  if (!found) return Fail(Code::kNotFound, "no volume " + std::to_string(id.value));
  const VolumeInfo volume = *found;
  if (!lost) {
    PXFS_TRY(CheckUnused(volume));
    PXFS_TRY(volumes_.Remove(id, {}));
    // A file that was being placed there meanwhile.
    Status unused = CheckUnused(volume);
    if (!unused) PXFS_TRY(volumes_.Restore(volume));
    return unused;
  }
  if (volume.state != VolumeState::kOffline)
    return Fail(Code::kBusy, "volume " + volume.name +
                                 " can be reached; drain it, or put it offline first with: pxfs "
                                 "volume set " +
                                 volume.name + " state=offline");
  PXFS_TRY(ForEachInodeOn(*this, id, [&](InodeId inode) { return ForgetReplica(inode, id); }));
  PXFS_ASSIGN(const auto left, ListVolumeInodes(id, {}, 1));
  std::optional<RecordWrite> note;
  if (!left.empty()) note = RecordWrite{LostVolumeKey(id), volume.name};
  log::warn("volume {} is removed as lost", volume.name);
  return volumes_.Remove(id, note);
}

}  // namespace pxfs::meta
