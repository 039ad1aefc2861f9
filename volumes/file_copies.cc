#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/logging.h"
#include "meta/placement.h"
#include "volumes/copy.h"
#include "volumes/hot_record.h"
#include "volumes/replicator.h"

namespace pxfs::volumes {
namespace {

using meta::Replica;
using meta::ReplicaState;
using meta::VolumeInfo;
using meta::VolumeState;

// Whether anybody has the object open: then the kernel grants no lease. While ours stands, an open
// waits, so the answer stays true until the descriptor is closed.
Result<std::optional<UniqueFd>> TakeAlone(const Volume& volume, ObjectName name) {
  auto fd = volume.OpenObject(name, O_RDWR);
  if (!fd && fd.error() == Code::kNotFound) return std::optional<UniqueFd>(UniqueFd());
  if (!fd && fd.error() == Code::kReadOnly) return std::optional<UniqueFd>(UniqueFd());
  if (!fd && fd.error() == Code::kTextBusy) return std::optional<UniqueFd>();  // it is executed
  if (!fd) return Fail(fd.error());
  if (::fcntl(fd->get(), F_SETLEASE, F_WRLCK) == 0) return std::optional<UniqueFd>(std::move(*fd));
  if (errno == EAGAIN || errno == EBUSY) return std::optional<UniqueFd>();
  return FailErrno(errno, "lease of an object");
}

}  // namespace

// What a file has, and what it should have next.
struct FileCopies::Plan {
  bool settled = false;
  std::optional<Replica> drop;  // stale, too many, or on a volume that is draining
  std::optional<VolumeId> copy_to;
  std::string obstacle;  // why nothing can be done although something should
};

Result<FileCopies::Plan> FileCopies::Look(InodeId inode) const {
  Plan plan;
  const auto location = metadata_.Locate(session_, inode);
  if (!location && location.error() == Code::kNotFound) plan.settled = true;
  if (plan.settled) return plan;
  if (!location) return Fail(location.error());
  const meta::Attr& attr = location->attr;
  // Closing it queues it again.
  plan.settled = !attr.is_regular() || attr.nlink == 0 || attr.open_for_write;
  if (plan.settled) return plan;
  PXFS_ASSIGN(const meta::PolicyView policy, metadata_.GetPolicy(inode));
  PXFS_ASSIGN(const std::vector<VolumeInfo> volumes, metadata_.ListVolumes());

  PXFS_ASSIGN(const auto records, HotRecordsOf(metadata_, inode));
  std::set<VolumeId> hot;
  for (const HotRecord& record : records) hot.insert(record.volume);

  uint32_t good = 0, good_and_hot = 0;
  const Replica *stale = nullptr, *leaving = nullptr, *last_good = nullptr;
  std::set<VolumeId> holding;
  for (const Replica& replica : location->replicas) {
    const VolumeInfo* volume = meta::FindVolume(volumes, replica.volume);
    if (!volume || volume->state == VolumeState::kOffline) continue;
    if (replica.state != ReplicaState::kCurrent) {
      stale = &replica;
      continue;
    }
    holding.insert(replica.volume);
    if (volume->state == VolumeState::kDraining) {
      leaving = &replica;
    } else if (hot.contains(replica.volume) && !replica.primary) {
      ++good_and_hot;
    } else {
      ++good;
      if (!replica.primary) last_good = &replica;
    }
  }
  if (stale) {
    plan.drop = *stale;
    return plan;
  }
  const uint32_t wanted = std::max(1u, policy.effective.copies.value_or(1));
  const auto can_take = [&](const VolumeInfo& volume) {
    return volume.state == VolumeState::kOnline && !holding.contains(volume.id) &&
           volume.weight > 0 && !meta::MissingLabel(policy.effective, volume) &&
           meta::Headroom(volume) >= attr.size_bytes;
  };
  if (good + good_and_hot < wanted) {
    const VolumeInfo* best = nullptr;
    for (const VolumeInfo& volume : volumes) {
      if (!can_take(volume)) continue;
      if (!best || meta::Headroom(volume) > meta::Headroom(*best)) best = &volume;
    }
    if (best && !holding.empty())
      plan.copy_to = best->id;
    else
      plan.obstacle = holding.empty() ? "no copy of it can be reached"
                                      : "no further volume can take a copy of it";
    // What leaves a volume does not have to wait for copies that it never had.
    if (plan.copy_to || good + good_and_hot == 0 || !leaving) return plan;
  }
  if (leaving)
    plan.drop = *leaving;
  else if (good > wanted && last_good)
    plan.drop = *last_good;
  else
    plan.settled = plan.obstacle.empty();
  if (!plan.settled) return plan;
  // Where a copy for heat cannot be made now, the rule finds another place, or the heat is over.
  for (const VolumeInfo& volume : volumes) {
    if (!hot.contains(volume.id) || !can_take(volume)) continue;
    plan.settled = false;
    plan.copy_to = volume.id;
  }
  return plan;
}

Result<CopyOutcome> FileCopies::Settle(InodeId inode, const std::function<bool()>& stop) {
  for (;;) {
    PXFS_ASSIGN(const Plan plan, Look(inode));
    if (plan.settled) return CopyOutcome::kSettled;
    if (plan.copy_to) {
      const Status copied = Copy(inode, *plan.copy_to, stop);
      if (copied) continue;
      // It is being changed, or gone: whoever does that queues it again.
      if (copied.error() == Code::kStale || copied.error() == Code::kNotFound ||
          copied.error() == Code::kBusy)
        return CopyOutcome::kLater;
      return Fail(copied.error());
    }
    if (!plan.drop) {
      log::debug("inode {}: {}", inode.value, plan.obstacle);
      return CopyOutcome::kLater;
    }
    PXFS_ASSIGN(const bool dropped, Drop(inode, *plan.drop));
    if (!dropped) return CopyOutcome::kLater;
  }
}

Status FileCopies::Copy(InodeId inode, VolumeId target, const std::function<bool()>& stop) {
  PXFS_ASSIGN(const meta::CopyTicket ticket, metadata_.BeginCopy(session_, inode, target));
  const auto made = MakeObject(ticket, stop);
  Status committed = made ? Commit(*made) : Status(Fail(made.error()));
  if (committed) return {};
  // The object goes with the reservation.
  if (const auto gone = metadata_.Discard(session_, std::span(&inode, 1)); !gone)
    log::warn("inode {}: giving up a copy: {}", inode.value, gone.error().message());
  return committed;
}

Result<meta::FinishedCopy> FileCopies::MakeObject(const meta::CopyTicket& ticket,
                                                  const std::function<bool()>& stop) {
  const meta::Attr& attr = ticket.source.attr;
  PXFS_ASSIGN(const auto target, volumes_.Require(ticket.object.volume));
  const ObjectName name{attr.inode, ticket.object.object_generation};
  const ObjectOwner owner{attr.uid, attr.gid, attr.mode & 07777};
  CopyOptions options;
  options.progress = [&](uint64_t) { return !stop(); };
  if (auto path = metadata_.PathOf(attr.inode)) options.origin = std::move(*path);
  Error why(Code::kUnavailable, "no copy of it can be read");
  for (const Replica* readable : volumes_.Readable(ticket.source)) {
    const Replica& replica = *readable;
    const auto volume = volumes_.Find(replica.volume);
    if (!volume) continue;
    auto source = volume->OpenObject({attr.inode, replica.object_generation}, O_RDONLY);
    if (!source) {
      why = source.error().WithContext(volume->name());
      continue;
    }
    // Copies count as equal after loss of power too.
    if (::fsync(source->get()) != 0) return FailErrno(errno, "fsync of an object");
    auto copied = CopyDurably(*target, name, owner, source->get(), options);
    if (copied && replica.checksum && !(copied->checksum == *replica.checksum)) {
      log::error("{}: its checksum is {}, not {}; it is not copied",
                 volumes_.ObjectPath(replica, attr.inode), ToString(copied->checksum),
                 ToString(*replica.checksum));
      why = Error(Code::kCorruption, "a copy of it is damaged");
      PXFS_TRY(target->RemoveObject(name));
      continue;
    }
    if (!copied) {
      why = copied.error();
      if (why == Code::kIo) continue;  // another one may be readable
      return Fail(why);
    }
    return meta::FinishedCopy{ticket.object, attr.generation, copied->checksum,
                              attr.uid,      attr.gid,        attr.mode & 07777};
  }
  return Fail(why);
}

Status FileCopies::Commit(meta::FinishedCopy copy) {
  for (;;) {
    const Status committed = metadata_.CommitCopy(session_, copy);
    if (committed || !(committed.error() == Code::kBusy)) return committed;
    // Owner or mode have changed meanwhile.
    PXFS_ASSIGN(const auto location, metadata_.Locate(session_, copy.object.inode));
    copy.uid = location.attr.uid;
    copy.gid = location.attr.gid;
    copy.mode = location.attr.mode & 07777;
    PXFS_ASSIGN(const auto volume, volumes_.Require(copy.object.volume));
    PXFS_TRY(volume->SetOwner({copy.object.inode, copy.object.object_generation},
                              {copy.uid, copy.gid, copy.mode}));
  }
}

// False: somebody uses it.
Result<bool> FileCopies::Drop(InodeId inode, const Replica& replica) {
  std::optional<UniqueFd> alone = UniqueFd();
  // A stale copy is nobody's: who has it open reads on what is no file's content any more.
  if (replica.state == ReplicaState::kCurrent) {
    PXFS_ASSIGN(const auto volume, volumes_.Require(replica.volume));
    PXFS_ASSIGN(alone, TakeAlone(*volume, {inode, replica.object_generation}));
    if (!alone) return false;
  }
  const Status dropped =
      metadata_.DropReplica(session_, {inode, replica.volume, replica.object_generation});
  if (dropped || dropped.error() == Code::kNotFound) return true;
  if (dropped.error() == Code::kBusy || dropped.error() == Code::kNotPermitted) return false;
  return Fail(dropped.error());
}

}  // namespace pxfs::volumes
