// Moving content from a volume that has no room for it to grow. The copy is a replica in state
// kCopying from before its object is made until the move ends, so whatever happens its object is
// either in use or reclaimed.
#include <algorithm>

#include "meta/content.h"
#include "meta/local_service_impl.h"
#include "meta/placement.h"

namespace pxfs::meta {

Status LocalService::PlanMove(InodeRecord& inode, const Replica& primary) {
  const VolumeTable::Snapshot volumes = volumes_.Current();
  const VolumeInfo* full = FindVolume(*volumes, primary.volume);
  if (!full || !BelowReserve(*full)) return {};
  PlacementRequest request;
  // A file without a name is placed as if it were in the root.
  const InodeId directory = inode.removed() || !inode.parent ? kRootInode : inode.parent;
  PXFS_ASSIGN(PolicyView policy, policies_.View(directory));
  request.policy = std::move(policy.effective);
  request.inode = inode.attr.inode;
  request.directory = directory;
  request.size_bytes = inode.attr.size_bytes;
  std::vector<VolumeInfo> others = *volumes;
  std::erase_if(others, [&](const VolumeInfo& volume) {
    return std::any_of(inode.replicas.begin(), inode.replicas.end(),
                       [&](const Replica& replica) { return replica.volume == volume.id; });
  });
  const auto target = ChooseVolume(request, others);
  if (!target) return {};  // it stays where it is, and uses up what is left there
  Replica copy;
  copy.volume = *target;
  copy.object_generation = inode.last_object = NextObjectGeneration(inode);
  copy.generation = inode.attr.generation;
  copy.state = ReplicaState::kCopying;
  inode.replicas.push_back(copy);
  return {};
}

Status LocalService::DropCopies(Transaction& tx, InodeRecord& inode) {
  if (inode.writers > 0 || inode.removed()) return {};  // or all is reclaimed together
  std::vector<Replica> copies;
  std::erase_if(inode.replicas, [&](const Replica& replica) {
    if (replica.state != ReplicaState::kCopying) return false;
    copies.push_back(replica);
    return true;
  });
  if (copies.empty()) return {};
  return reclaim_.Add(tx, {inode.attr.inode, copies, false});
}

Result<Location> LocalService::EndMove(const CallContext& ctx, InodeId inode,
                                       uint64_t object_generation, bool moved) {
  bool changed = false;
  auto location = store_->Run([&](Transaction& tx) -> Result<Location> {
    changed = false;
    PXFS_ASSIGN(InodeRecord * record, EditOpenFile(tx, inode, ctx.session));
    auto& replicas = record->replicas;
    const auto copy = std::find_if(replicas.begin(), replicas.end(), [&](const Replica& replica) {
      return replica.object_generation == object_generation &&
             replica.state == ReplicaState::kCopying;
    });
    if (copy == replicas.end()) {
      // Done before, by a request whose answer was lost.
      const Replica* primary = PrimaryOf(*record);
      if (primary && primary->object_generation == object_generation) return LocationOf(*record);
      return Fail(Code::kStale, "no such move of inode " + std::to_string(inode.value));
    }
    if (moved && (record->writers != 1 || copy->generation != record->attr.generation))
      return Fail(Code::kStale,
                  "inode " + std::to_string(inode.value) + " is written by somebody else, too");
    Replica gone = *copy;
    if (moved) {
      Replica* primary = PrimaryOf(*record);
      if (!primary) return Fail(Code::kCorruption, "inode has no primary replica");
      copy->state = ReplicaState::kCurrent;
      copy->primary = copy->materialized = true;
      gone = *primary;
      replicas.erase(replicas.begin() + (primary - replicas.data()));
    } else {
      replicas.erase(copy);
    }
    changed = moved;
    PXFS_TRY(reclaim_.Add(tx, {inode, {gone}, false}));
    return LocationOf(*record);
  });
  if (!location) return location;
  reclaim_.Announce();
  if (!changed) return ByPolicy(std::move(location));
  Notices notices(sessions_, ctx.session);
  notices.Content(inode);
  notices.Send();
  return ByPolicy(std::move(location));
}

}  // namespace pxfs::meta
