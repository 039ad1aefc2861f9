#include "volumes/file_copies.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <set>

#include "base/logging.h"
#include "volumes/copy.h"
#include "volumes/hot_record.h"

namespace pxfs::volumes {
namespace {

using meta::Replica;
using meta::ReplicaState;
using meta::VolumeInfo;

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

Result<CopyPlan> FileCopies::Look(InodeId inode, VolumeId leave) const {
  CopyPlan plan;
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
  return PlanCopies({*location, policy.effective, volumes,
                     [&](VolumeId volume) { return host_.MayReturn(volume); }, hot, leave});
}

Result<CopyOutcome> FileCopies::Settle(InodeId inode, VolumeId leave) {
  for (;;) {
    PXFS_ASSIGN(const CopyPlan plan, Look(inode, leave));
    for (const VolumeId volume : plan.away) PXFS_TRY(host_.NoteAway(volume));
    if (plan.settled) return CopyOutcome::kSettled;
    if (plan.copy_to) {
      const Status copied = Copy(inode, *plan.copy_to);
      if (copied) continue;
      if (copied.error() == Code::kStale) return CopyOutcome::kChanged;
      // It is being written, or gone: whoever does that queues it again.
      if (copied.error() == Code::kNotFound || copied.error() == Code::kBusy)
        return CopyOutcome::kLater;
      return Fail(copied.error());
    }
    if (!plan.drop) {
      log::debug("inode {}: {}", inode.value, plan.obstacle);
      return CopyOutcome::kLater;
    }
    PXFS_ASSIGN(const bool dropped, Drop(inode, *plan.drop));
    if (!dropped) return CopyOutcome::kLater;
    host_.Reached(CopyStep::kDropped);
  }
}

Status FileCopies::Copy(InodeId inode, VolumeId target) {
  PXFS_ASSIGN(const meta::CopyTicket ticket, metadata_.BeginCopy(session_, inode, target));
  host_.Reached(CopyStep::kBegun);
  host_.Begun(ticket.object);
  const auto made = MakeObject(ticket);
  if (made) host_.Reached(CopyStep::kMade);
  Status committed = made ? Commit(*made) : Status(Fail(made.error()));
  host_.Ended(ticket.object);
  if (committed) {
    host_.Reached(CopyStep::kCommitted);
    return {};
  }
  // The object goes with the reservation.
  if (const auto gone = metadata_.Discard(session_, std::span(&inode, 1)); !gone)
    log::warn("inode {}: giving up a copy: {}", inode.value, gone.error().message());
  return committed;
}

Result<meta::FinishedCopy> FileCopies::MakeObject(const meta::CopyTicket& ticket) {
  const meta::Attr& attr = ticket.source.attr;
  PXFS_ASSIGN(const auto target, volumes_.Require(ticket.object.volume));
  const ObjectName name{attr.inode, ticket.object.object_generation};
  const ObjectOwner owner{attr.uid, attr.gid, attr.mode & 07777};
  CopyOptions options;
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
    struct stat st;
    if (::fstat(source->get(), &st) != 0) return FailErrno(errno, "stat of an object");
    if (volumes_.Doubtful(attr, replica, st)) {
      why = Error(Code::kUnavailable, "what volume " + volume->name() + " is back with is older");
      continue;
    }
    options.progress = [&](uint64_t bytes) {
      host_.Reached(CopyStep::kBlock);
      return host_.Spend(replica.volume, ticket.object.volume, bytes, bytes);
    };
    if (attr.size_bytes < kLeastCopyCost &&
        !host_.Spend(replica.volume, ticket.object.volume, 0, kLeastCopyCost - attr.size_bytes))
      return Fail(Code::kInterrupted);
    // Copies count as equal after loss of power too, so neither may lose its content or its name.
    if (::fsync(source->get()) != 0) return FailErrno(errno, "fsync of an object");
    PXFS_TRY(volume->SyncName({attr.inode, replica.object_generation}));
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
  host_.Reached(CopyStep::kDropping);
  const Status dropped =
      metadata_.DropReplica(session_, {inode, replica.volume, replica.object_generation});
  if (dropped || dropped.error() == Code::kNotFound) return true;
  if (dropped.error() == Code::kBusy || dropped.error() == Code::kNotPermitted) return false;
  return Fail(dropped.error());
}

}  // namespace pxfs::volumes
