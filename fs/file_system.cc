#include "fs/file_system.h"

#include <algorithm>
#include <limits>

#include "base/logging.h"
#include "fs/errno.h"

namespace pxfs::fs {

FileSystem::FileSystem(meta::MetadataService& metadata, const volumes::VolumeSet& volumes,
                       Transport& transport, ConnectionState& state, SessionId session,
                       FileSystemOptions options)
    : metadata_(metadata),
      volumes_(volumes),
      transport_(transport),
      session_(session),
      options_(std::move(options)),
      open_files_(
          {&metadata, &volumes, &transport, session, options_.max_open, options_.max_descriptors},
          state),
      commit_waiter_(metadata, volumes),
      buffers_(options_.max_requests, state.usage().buffer_bytes) {
  constexpr uint64_t kMostBytesOfARequest = 1 << 20;  // FUSE_MAX_MAX_PAGES of libfuse 3.14
  state.usage().buffer_bytes = 0;
  state.usage().max_buffer_bytes = options_.max_requests * kMostBytesOfARequest;
}

void FileSystem::ShrinkCaches() {
  open_files_.GiveUpIdle();
  buffers_.Shrink();
}

void FileSystem::StopThreads() {
  open_files_.StopIdling();
  commit_waiter_.Stop();
}

void FileSystem::OverlayObject(meta::Attr& attr, const struct stat& object, bool content) const {
  attr.atime = volumes::ToTimestamp(object.st_atim);
  if (!content) return;
  const auto mtime = volumes::ToTimestamp(object.st_mtim);
  const auto size = static_cast<uint64_t>(object.st_size);
  if (mtime != attr.mtime || size != attr.size_bytes)
    attr.ctime = std::max(attr.ctime, volumes::ToTimestamp(object.st_ctim));
  attr.mtime = mtime;
  attr.size_bytes = size;
  attr.blocks = static_cast<uint64_t>(object.st_blocks);
}

FileSystem::ShownAttr FileSystem::Show(const meta::Attr& attr) {
  return Show(attr, attr.is_regular() ? open_files_.Find(attr.inode) : std::nullopt);
}

FileSystem::ShownAttr FileSystem::Show(const meta::Attr& stored, std::optional<OpenFileRef> file) {
  meta::Attr attr = stored;
  double timeout = options_.attr_timeout_seconds;
  if (attr.is_regular()) {
    const bool writing = attr.open_for_write || (file && (*file)->writers() > 0);
    if (file && (*file)->record->object_generation != 0 && (*file)->volume) {
      if (auto object = open_files_.Stat(**file)) OverlayObject(attr, *object, writing);
    } else if (writing) {
      file.reset();
      // Another session writes it.
      if (auto location = metadata_.Locate({.session = session_}, attr.inode)) {
        for (const auto& replica : location->replicas) {
          auto volume = replica.primary ? volumes_.Find(replica.volume) : nullptr;
          if (!volume) continue;
          if (auto object = volume->StatObject({attr.inode, replica.object_generation}))
            OverlayObject(attr, *object, true);
        }
      }
    }
    if (writing) timeout = 0;
  }
  ShownAttr shown{};
  struct stat& st = shown.st;
  st.st_ino = attr.inode.value;
  st.st_mode = attr.mode;
  st.st_nlink = attr.nlink;
  st.st_uid = attr.uid;
  st.st_gid = attr.gid;
  st.st_rdev = attr.rdev;
  st.st_size = static_cast<off_t>(attr.size_bytes);
  st.st_blocks = static_cast<blkcnt_t>(attr.blocks);
  st.st_blksize = 4096;
  st.st_atim = volumes::ToTimespec(attr.atime);
  st.st_mtim = volumes::ToTimespec(attr.mtime);
  st.st_ctim = volumes::ToTimespec(attr.ctime);
  shown.timeout_seconds = timeout;
  return shown;
}

fuse_entry_param FileSystem::EntryOf(const meta::Attr& attr, InodeId directory) {
  return EntryOf(attr, EntryTimeout(directory));
}

fuse_entry_param FileSystem::EntryOf(const meta::Attr& attr, double entry_timeout_seconds) {
  const ShownAttr shown = Show(attr);
  fuse_entry_param entry{};
  entry.ino = NodeOf(attr.inode);
  entry.attr = shown.st;
  entry.attr_timeout = shown.timeout_seconds;
  entry.entry_timeout = entry_timeout_seconds;
  return entry;
}

void FileSystem::CountOpen(InodeId inode, const OpenTable::Opened& opened) {
  uint64_t offered = 0;
  if (opened.backing_id > 0 && !opened.direct_io) {
    offered = opened.size_bytes;
    ++counters_.passthrough_opens;
    counters_.passthrough_bytes_offered += offered;
  } else {
    ++counters_.daemon_opens;
  }
  if (options_.heat) options_.heat->CountOpen(inode, offered);
}

void FileSystem::CountRead(InodeId inode, uint64_t bytes) {
  counters_.daemon_bytes_read += bytes;
  if (options_.heat) options_.heat->CountBytes(inode, bytes);
}

void FileSystem::CountWritten(InodeId inode, uint64_t bytes) {
  counters_.daemon_bytes_written += bytes;
  if (options_.heat) options_.heat->CountBytes(inode, bytes);
}

void FileSystem::AddOrphan(InodeId inode) {
  std::lock_guard lock(orphans_mutex_);
  orphans_.insert(inode);
  orphan_count_ = orphans_.size();
}

void FileSystem::RemoveOrphan(InodeId inode) {
  if (orphan_count_ == 0) return;
  std::lock_guard lock(orphans_mutex_);
  orphans_.erase(inode);
  orphan_count_ = orphans_.size();
}

void FileSystem::Forgotten(InodeId inode) {
  if (!all_may_be_orphans_) {
    if (orphan_count_ == 0) return;
    std::lock_guard lock(orphans_mutex_);
    if (orphans_.erase(inode) == 0) return;
    orphan_count_ = orphans_.size();
  }
  open_files_.DropIdle(inode);
  if (auto status = metadata_.Forget(session_, {&inode, 1}); !status)
    log::warn("inode {}: giving up an orphan: {}", inode.value, status.error().message());
}

void FileSystem::UpdateObjects(const meta::CallContext& ctx, const meta::Attr& attr, bool owner,
                               bool times) {
  if (!attr.is_regular() || (!owner && !times)) return;
  meta::CallContext unchecked = ctx;
  unchecked.check_access = false;  // whoever may change the inode changes its objects
  auto location = metadata_.Locate(unchecked, attr.inode);
  if (!location) return;  // removed meanwhile
  for (const auto& replica : location->replicas) {
    auto volume = volumes_.Find(replica.volume);
    if (!volume)
      continue;  // corrected when the volume is back, before its objects are used for views
    const volumes::ObjectName name{attr.inode, replica.object_generation};
    Status status;
    if (owner) status = volume->SetOwner(name, {attr.uid, attr.gid, attr.mode & 07777});
    // Its times tell what volumes are back with from the content, which another copy has.
    const bool telling = location->replicas.size() > 1 && volumes_.Unsettled(replica.volume);
    if (status && times && !telling) status = volume->SetTimes(name, attr.atime, attr.mtime);
    if (!status && !(status.error() == Code::kNotFound && !replica.materialized))
      log::warn("inode {} on volume {}: {}", attr.inode.value, volume->name(),
                status.error().message());
  }
}

Result<meta::Attr> FileSystem::SetAttr(fuse_req_t request, const meta::CallContext& caller_ctx,
                                       InodeId inode, const meta::AttrChange& change) {
  meta::CallContext ctx = caller_ctx;
  // Who is in the file's group keeps setgid where it is no program's, and a chown is by the group
  // before it. Where setuid goes too, Linux sees the mode changed, by the rules of chmod(2): by the
  // group after it.
  std::optional<meta::Attr> before;
  if (change.clear_suid && change.gid) {
    PXFS_ASSIGN(before, metadata_.GetAttr(ctx, inode));
  }
  auto changed = metadata_.SetAttr(ctx, inode, change);
  if (!changed || !change.clear_suid || changed->is_directory()) return changed;
  if ((changed->mode & (S_ISGID | S_IXGRP)) != S_ISGID) return changed;
  const Caller caller = CallerOf(request);
  const bool was_in_group = caller.InGroup(before ? before->gid : changed->gid);
  const bool as_chmod = before && (before->mode & S_ISUID);
  if (caller.may_set_id || (was_in_group && (!as_chmod || caller.InGroup(changed->gid))))
    return changed;
  // Once more, as somebody in no group would: what the mode is by now, metadata knows. The request
  // has been recorded with the change above.
  ctx.request = 0;
  ctx.check_access = true;
  ctx.uid = ctx.gid = std::numeric_limits<uint32_t>::max();
  return metadata_.SetAttr(ctx, inode, {.clear_suid = true});
}

void FileSystem::ClearSetId(fuse_req_t request, InodeId inode) {
  const meta::CallContext ctx = DataContextOf(request);
  auto attr = metadata_.GetAttr(ctx, inode);
  if (!attr || (attr->mode & (S_ISUID | S_ISGID)) == 0) return;
  if (auto changed = SetAttr(request, ctx, inode, {.clear_suid = true})) {
    UpdateObjects(ctx, *changed, true, false);
  } else {
    log::warn("inode {}: clearing set-id bits: {}", inode.value, changed.error().message());
  }
}

void FileSystem::RemoveCapabilities(InodeId inode) {
  constexpr std::string_view kName = "security.capability";
  const meta::CallContext ctx{.session = session_};
  if (!metadata_.GetXattr(ctx, inode, kName)) return;
  auto removed = metadata_.RemoveXattr(ctx, inode, kName);
  if (!removed && removed.error() != Code::kNoData)
    log::warn("inode {}: removing its capabilities: {}", inode.value, removed.error().message());
}

namespace {

// On a full disk every request may fail: one line a second says so.
bool WorthALine() {
  static std::atomic<int64_t> last{-1};
  const int64_t now = std::chrono::duration_cast<std::chrono::seconds>(
                          std::chrono::steady_clock::now().time_since_epoch())
                          .count();
  return last.exchange(now) != now;
}

}  // namespace

void ReplyError(fuse_req_t request, const Error& error, const char* operation, InodeId inode) {
  switch (error.code()) {
    case Code::kNoSpace:
    case Code::kReadOnly:
    case Code::kTooManyOpen:
      if (WorthALine()) log::warn("{} of inode {}: {}", operation, inode.value, error.message());
      break;
    case Code::kIo:
    case Code::kCorruption:
    case Code::kUnavailable:
    case Code::kConflict:
      log::error("{} of inode {}: {}", operation, inode.value, error.message());
      break;
    default:
      break;
  }
  fuse_reply_err(request, ToErrno(error.code()));
}

void ReplyInodeError(fuse_req_t request, const Error& error, const char* operation, InodeId inode) {
  if (error.code() == Code::kNotFound)
    return ReplyError(request, Error(Code::kStale), operation, inode);
  ReplyError(request, error, operation, inode);
}

}  // namespace pxfs::fs
