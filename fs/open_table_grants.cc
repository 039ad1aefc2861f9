// The write grant of an open file: got, given back, and got again.
#include "base/bytes.h"
#include "base/logging.h"
#include "fs/open_table.h"
#include "volumes/copy.h"

namespace pxfs::fs {

Status OpenTable::BeginWriting(const meta::CallContext& ctx, Turn& file,
                               const meta::Location* created) {
  // Who has it open here goes on with the object that it has.
  const VolumeId present(file->in_use() ? file->record->volume : 0);
  // The grant makes all other copies stale.
  if (!created && !file->in_use() && env_.volumes->AnyUnsettled()) PXFS_TRY(LookAtReturned(file));
  Result<meta::Location> granted = created ? Result<meta::Location>(*created) : file.Outside([&] {
    return env_.metadata->OpenForWrite(ctx, file->inode, present);
  });
  if (!granted) return Fail(granted.error());
  if (!created) {
    for (const meta::Replica& replica : std::vector<meta::Replica>(granted->replicas)) {
      if (replica.state == meta::ReplicaState::kCopying)
        granted = MoveFirst(ctx, file, *granted, replica);
      if (!granted) return Fail(granted.error());
    }
  }
  file->Changed();
  file->flags = granted->attr.flags;
  file->grant_unsure = false;
  file->granted_again = file->written();
  file->commit_copies = granted->commit_copies;
  // Else it was only to be made sure of.
  if (file->written())
    return file->record->backing_id > 0 ? Status() : FollowPrimary(*file, *granted);
  // What the daemon is to see must not go past it.
  if (granted->relayed && !file->in_use()) Unbind(*file);
  file->mtime = granted->attr.mtime;
  file->size_bytes = granted->attr.size_bytes;
  const bool bound = file->record->backing_id > 0 || file->in_use();
  const auto usable = Usable(*granted, true);
  const bool same_object = bound && !usable.empty() &&
                           file->record->volume == usable.front()->volume.value &&
                           file->record->object_generation == usable.front()->object_generation;
  // Nobody uses an idle backing that does not serve this writer: exchange it.
  if (same_object && (file->in_use() || file->record->backing_writable)) return {};
  if (!file->in_use()) Unbind(*file);
  // All opens share one backing, and what these have is a copy that takes no writes.
  Binding binding{.writable = true, .created = created != nullptr, .looked_at = true};
  auto opened = file->record->backing_id > 0
                    ? Status(Fail(Code::kBusy, "it is open here on a copy that was given up"))
                    : BindObject(*file, *granted, binding);
  if (opened) return {};
  const meta::ContentState unchanged{granted->attr.size_bytes, granted->attr.blocks,
                                     granted->attr.atime,      granted->attr.mtime,
                                     granted->attr.ctime,      std::nullopt};
  auto closed = file.Outside(
      [&] { return env_.metadata->CloseWrite({.session = env_.session}, file->inode, unchanged); });
  if (!closed)
    log::error("inode {}: giving back the write grant: {}", file->inode.value,
               closed.error().message());
  return opened;
}

Result<meta::Location> OpenTable::MoveFirst(const meta::CallContext& ctx, Turn& file,
                                            const meta::Location& granted,
                                            const meta::Replica& copy) {
  const InodeId inode = granted.attr.inode;
  const auto end = [&](bool moved) {
    return env_.metadata->EndMove({.session = ctx.session}, inode, copy.object_generation, moved);
  };
  const auto stay = [&](const std::string& why) -> Result<meta::Location> {
    log::warn("inode {} stays on a volume below its reserve: {}", inode.value, why);
    auto ended = end(false);
    if (!ended && ended.error() == Code::kStale)
      return env_.metadata->OpenForWrite(ctx, inode, VolumeId());
    return ended;
  };
  if (file->in_use()) return file.Outside([&] { return stay("it is open"); });
  Unbind(*file);
  return file.Outside([&]() -> Result<meta::Location> {
    if (auto copied = volumes::CopyReplica(*env_.volumes, granted, copy); !copied)
      return stay(copied.error().message());
    auto moved = end(true);
    if (!moved) return stay(moved.error().message());
    log::info("inode {}: moved {} to a volume with room before it is written", inode.value,
              FormatBytes(moved->attr.size_bytes));
    return moved;
  });
}

// The last writer is gone: what the object holds now is the content.
Status OpenTable::EndWriting(meta::CallContext ctx, Turn& file) {
  PXFS_ASSIGN(const struct stat st, Stat(*file));
  meta::ContentState content = volumes::ContentOf(st);
  // The object's ctime also moves for reasons that are no change of the file (views link it).
  const bool written = content.mtime != file->mtime || content.size_bytes != file->size_bytes;
  if (!written) content.ctime = {};
  // What gave back the grant of before must not count for this one, too.
  if (file->granted_again) ctx.request = 0;
  const Status closed =
      file.Outside([&] { return env_.metadata->CloseWrite(ctx, file->inode, content); });
  // A commit before, or a daemon before this one, may have given the grant back.
  const bool had_none = !closed && closed.error() == Code::kInvalid && file->grant_unsure;
  if (!closed && !had_none) return closed;
  file->grant_unsure = file->granted_again = false;
  file->atime = content.atime;
  file->mtime = content.mtime;
  file->size_bytes = content.size_bytes;
  return {};
}

Result<OpenTable::WriteHold> OpenTable::BeginWrite(InodeId inode) {
  for (;;) {
    std::shared_ptr<OpenFile> file = Peek(inode);
    if (!file) return Fail(Code::kStale);
    {
      std::lock_guard lock(file->mutex);
      if (file->commit_copies == 0) return WriteHold();
    }
    std::shared_lock writing(file->writes);
    {
      std::lock_guard lock(file->mutex);
      if (!file->grant_unsure) return WriteHold(std::move(file), std::move(writing));
    }
    writing.unlock();
    auto turn = TakeTurn(inode);
    if (!turn) return Fail(Code::kStale);
    if ((*turn)->grant_unsure) PXFS_TRY(BeginWriting({.session = env_.session}, *turn, nullptr));
  }
}

Result<uint32_t> OpenTable::Commit(InodeId inode) {
  auto turn = TakeTurn(inode);
  if (!turn) return 0;
  Turn& file = *turn;
  // Where a reader had it open before the policy came, its writers go by passthrough, too.
  if (!file->written() || file->commit_copies == 0 || file->record->backing_id > 0) return 0;
  if (file->commit_copies == OpenFile::kUnknown) {
    const auto location =
        file.Outside([&] { return env_.metadata->Locate({.session = env_.session}, inode); });
    if (!location) return Fail(location.error());
    file->commit_copies = location->commit_copies;
    if (file->commit_copies == 0) return 0;
  }
  const std::shared_ptr<OpenFile> kept = file.shared();
  auto alone = file.Outside([&] { return std::unique_lock(kept->writes); });
  PXFS_TRY(EndWriting({.session = env_.session}, file));
  file->grant_unsure = true;
  return file->commit_copies;
}

void OpenTable::RegainGrants() {
  for (OpenRecord& record : state_.open_records()) {
    if (record.inode == 0 && record.object_generation == 0) break;  // as in the constructor
    const InodeId inode(record.inode);
    if (!inode || OpenCounts::Unpack(record.counts).writers == 0) continue;
    auto file = TakeTurn(inode);
    // What a commit has given back is asked for by the next write.
    if (!file || ((*file)->grant_unsure && (*file)->commit_copies > 0)) continue;
    if (auto granted = BeginWriting({.session = env_.session}, *file, nullptr); !granted)
      log::error("inode {}: getting the write grant again: {}", inode.value,
                 granted.error().message());
  }
}

}  // namespace pxfs::fs
