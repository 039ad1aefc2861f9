#include <algorithm>

#include "meta/local_service_impl.h"
#include "meta/placement.h"

namespace pxfs::meta {

Status LocalService::DropReplica(const CallContext& ctx, const ObjectRef& replica) {
  PXFS_TRY(sessions_.Require(ctx.session));
  const VolumeTable::Snapshot volumes = volumes_.Current();
  PXFS_TRY(store_->Run([&](Transaction& tx) -> Status {
    PXFS_ASSIGN(InodeRecord * record, tx.EditInode(replica.inode));
    auto& replicas = record->replicas;
    const auto dropped = std::find_if(replicas.begin(), replicas.end(), [&](const Replica& r) {
      return r.volume == replica.volume && r.object_generation == replica.object_generation;
    });
    if (dropped == replicas.end()) return Fail(Code::kNotFound, "no such replica");
    const auto stays = [&](const Replica& other) {
      const VolumeInfo* volume = FindVolume(*volumes, other.volume);
      return &other != &*dropped && other.state == ReplicaState::kCurrent && volume &&
             volume->state != VolumeState::kOffline;
    };
    if (dropped->primary && record->writers > 0) return Fail(Code::kBusy, "open for writing");
    const auto heir = std::find_if(replicas.begin(), replicas.end(), stays);
    const bool needed = dropped->primary || dropped->state == ReplicaState::kCurrent;
    if (needed && heir == replicas.end())
      return Fail(Code::kNotPermitted, "it is the last copy that can be reached");
    if (dropped->primary) heir->primary = true;
    PXFS_TRY(reclaim_.Add(tx, {replica.inode, {*dropped}, false}));
    replicas.erase(dropped);
    // Else who drops the one on a volume that is left behind, and finds no room for another, could
    // forget that one is missing.
    return WantCopies(tx, *record);
  }));
  reclaim_.Announce();
  return {};
}

}  // namespace pxfs::meta
