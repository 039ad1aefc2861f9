#include <algorithm>

#include "meta/keys.h"
#include "meta/local_service_impl.h"

namespace pxfs::meta {
namespace {

Replica ReplicaOf(const FinishedCopy& copy, Timestamp now) {
  Replica replica;
  replica.volume = copy.object.volume;
  replica.object_generation = copy.object.object_generation;
  replica.generation = copy.generation;
  replica.materialized = true;
  replica.checksum = copy.checksum;
  replica.verified_seconds = now.seconds;  // it was read back
  return replica;
}

}  // namespace

Status LocalService::CommitCopy(const CallContext& ctx, const FinishedCopy& copy) {
  const std::string reservation = keys::Reservation(ctx.session, copy.object.inode);
  bool replaced = false;
  PXFS_TRY(store_->Run([&](Transaction& tx) -> Status {
    replaced = false;
    PXFS_ASSIGN(const auto reserved, tx.GetRecord<ReservationRecord>(reservation));
    if (!reserved || !reserved->copy || reserved->volume != copy.object.volume ||
        reserved->object_generation != copy.object.object_generation)
      return Fail(Code::kInvalid, "its object was not set aside in this session");
    auto edited = tx.EditInode(copy.object.inode);
    if (!edited && edited.error() == Code::kNotFound) return Fail(Code::kStale);
    if (!edited) return Fail(edited.error());
    InodeRecord& record = **edited;
    if (record.removed() || record.writers > 0 || record.attr.generation != copy.generation)
      return Fail(Code::kStale, "the content has changed");
    if (record.attr.uid != copy.uid || record.attr.gid != copy.gid ||
        (record.attr.mode & 07777) != copy.mode)
      return Fail(Code::kBusy, "its owner or mode has changed");
    // What was there before is of an older content.
    Replica old;
    std::erase_if(record.replicas, [&](const Replica& replica) {
      if (replica.volume != copy.object.volume) return false;
      old = replica;
      return replaced = true;
    });
    if (replaced) PXFS_TRY(reclaim_.Add(tx, {copy.object.inode, {old}, false}));
    for (Replica& replica : record.replicas) {
      if (replica.state == ReplicaState::kCurrent) replica.checksum = copy.checksum;
    }
    record.replicas.push_back(ReplicaOf(copy, store_->Now()));
    tx.Erase(reservation);
    return {};
  }));
  if (replaced) reclaim_.Announce();
  return {};
}

}  // namespace pxfs::meta
