#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/logging.h"
#include "fs/file_system.h"
#include "fs/ops.h"

namespace pxfs::fs::ops {
namespace {

bool ChangesOwner(const meta::AttrChange& change) {
  return change.mode || change.uid || change.gid || change.clear_suid;
}

bool ChangesTimes(const meta::AttrChange& change) {
  return change.atime || change.mtime || change.atime_now || change.mtime_now;
}

// Truncates the object of a file that this mount has open for writing, and tells metadata.
Result<meta::Attr> TruncateOpen(FileSystem& fs, fuse_req_t request, InodeId inode, off_t size,
                                meta::AttrChange change) {
  if (fs.open_files().FlagsOf(inode) != 0) return Fail(Code::kNotPermitted);
  PXFS_ASSIGN(const auto hold, fs.open_files().BeginWrite(inode));
  PXFS_ASSIGN(auto fd, fs.open_files().Descriptor(inode, true));
  if (::ftruncate(fd->get(), size) != 0) return FailErrno(errno, "truncating an object");
  struct stat st;
  if (::fstat(fd->get(), &st) != 0) return FailErrno(errno, "fstat of an object");
  change.content = volumes::ContentOf(st);
  if (auto file = fs.open_files().Find(inode)) (*file)->Changed();
  return fs.SetAttr(request, fs.DataContextOf(request), inode, change);
}

// A truncation is a short time of writing. by_file: of a file that the caller has open for writing.
Result<FileSystem::ShownAttr> Truncate(FileSystem& fs, fuse_req_t request, InodeId inode,
                                       off_t size, const meta::AttrChange& change, bool by_file) {
  constexpr uint32_t kWrite = 2;
  if (!by_file) PXFS_TRY(fs.CheckAccess(request, inode, kWrite));
  const auto ctx = fs.DataContextOf(request);
  PXFS_TRY(fs.open_files().BeginWork(ctx, inode));
  auto attr = TruncateOpen(fs, request, inode, size, change);
  if (attr) fs.UpdateObjects(ctx, *attr, ChangesOwner(change), ChangesTimes(change));
  auto ended = fs.open_files().EndWork(ctx, inode);
  if (!attr) return Fail(attr.error());
  if (!ended) return Fail(ended.error());
  return fs.Show(*attr);
}

// Owner, mode and times, in metadata and then on the objects. Nobody else changes an open file
// meanwhile: the end of writing, which comes some time after close(2), reads the times of the
// object and stores them, and would undo a change of times that came in between.
Result<FileSystem::ShownAttr> Change(FileSystem& fs, fuse_req_t request, InodeId inode,
                                     const meta::AttrChange& change) {
  const auto ctx = fs.ContextOf(request);
  auto turn = fs.open_files().TakeTurn(inode);
  const auto set = [&] {
    auto attr = fs.SetAttr(request, ctx, inode, change);
    if (attr) fs.UpdateObjects(ctx, *attr, ChangesOwner(change), ChangesTimes(change));
    return attr;
  };
  auto attr = turn ? turn->Outside(set) : set();
  turn.reset();
  if (!attr) return Fail(attr.error());
  return fs.Show(*attr);
}

// An empty SETATTR of a file that nobody writes is chown(-1, -1). Where that takes set-id bits it
// is for the owner only, which the kernel cannot know.
Status CheckEmptyChange(FileSystem& fs, fuse_req_t request, InodeId inode) {
  if (fs.open_files().IsWritten(inode)) return {};
  const auto ctx = fs.ContextOf(request);
  PXFS_ASSIGN(const meta::Attr attr, fs.metadata().GetAttr(ctx, inode));
  if (attr.is_directory() || attr.uid == ctx.uid) return {};
  const bool suid = attr.mode & S_ISUID, sgid = attr.mode & S_ISGID;
  if (!suid && !sgid) return {};
  const Caller caller = fs.CallerOf(request);
  const bool keeps_sgid = !(attr.mode & S_IXGRP) && (caller.may_set_id || caller.InGroup(attr.gid));
  if (caller.owns_all || (!suid && keeps_sgid)) return {};
  return Fail(Code::kNotPermitted);
}

meta::AttrChange ChangeFrom(const struct stat& values, int to_set) {
  meta::AttrChange change;
  if (to_set & FUSE_SET_ATTR_MODE) change.mode = values.st_mode & 07777;
  if (to_set & FUSE_SET_ATTR_UID) change.uid = values.st_uid;
  if (to_set & FUSE_SET_ATTR_GID) change.gid = values.st_gid;
  // Where a time is to be the present one, the kernel says both.
  change.atime_now = (to_set & FUSE_SET_ATTR_ATIME_NOW) != 0;
  change.mtime_now = (to_set & FUSE_SET_ATTR_MTIME_NOW) != 0;
  if ((to_set & FUSE_SET_ATTR_ATIME) && !change.atime_now)
    change.atime = volumes::ToTimestamp(values.st_atim);
  if ((to_set & FUSE_SET_ATTR_MTIME) && !change.mtime_now)
    change.mtime = volumes::ToTimestamp(values.st_mtim);
  return change;
}

}  // namespace

void SetAttr(fuse_req_t request, fuse_ino_t node, struct stat* values, int to_set,
             fuse_file_info* file) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId inode = fs.InodeOf(node);
  meta::AttrChange change = ChangeFrom(*values, to_set);
  const bool truncate = (to_set & FUSE_SET_ATTR_SIZE) != 0;
  // With HANDLE_KILLPRIV_V2 it is the file system that clears setuid and setgid: at every chown,
  // and when somebody without privilege truncates. A request that sets nothing comes before such a
  // one's write (also by passthrough), fallocate and copy_file_range, if the file has any of these
  // bits; or it is chown(-1, -1), which takes them too. (It also comes before root's write to a
  // file with capabilities, which could keep them: not to be told apart from root's chown.)
  const bool empty = (to_set & ~FUSE_SET_ATTR_KILL_SUID) == 0;
  if (empty) {
    if (auto may = CheckEmptyChange(fs, request, inode); !may)
      return ReplyInodeError(request, may.error(), "setattr", inode);
  }
  change.clear_suid = ((change.uid || change.gid) && !change.mode) ||
                      (truncate && (Transport::ClearsSetId() || fs.IsSquashed(request))) || empty;

  auto shown = truncate ? Truncate(fs, request, inode, values->st_size, change, file != nullptr)
                        : Change(fs, request, inode, change);
  if (!shown) return ReplyInodeError(request, shown.error(), "setattr", inode);
  const bool may_be_executed = change.mode || change.uid || change.gid;
  if (may_be_executed) fs.PermissionsChanged(inode);
  if (may_be_executed && (shown->st.st_mode & 0111) != 0) fs.open_files().DropIdle(inode);
  fuse_reply_attr(request, &shown->st, shown->timeout_seconds);
}

}  // namespace pxfs::fs::ops
