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
Result<meta::Attr> TruncateOpen(FileSystem& fs, const meta::CallContext& ctx, InodeId inode,
                                off_t size, meta::AttrChange change) {
  PXFS_ASSIGN(auto fd, fs.open_files().Descriptor(inode, true));
  if (::ftruncate(fd->get(), size) != 0) return FailErrno(errno, "truncating an object");
  struct stat st;
  if (::fstat(fd->get(), &st) != 0) return FailErrno(errno, "fstat of an object");
  change.content = volumes::ContentOf(st);
  return fs.metadata().SetAttr(ctx, inode, change);
}

// A truncation is a short time of writing.
Result<FileSystem::ShownAttr> Truncate(FileSystem& fs, const meta::CallContext& ctx, InodeId inode,
                                       off_t size, const meta::AttrChange& change) {
  PXFS_TRY(fs.open_files().BeginWork(ctx, inode));
  auto attr = TruncateOpen(fs, ctx, inode, size, change);
  if (attr) fs.UpdateObjects(ctx, *attr, ChangesOwner(change), ChangesTimes(change));
  auto ended = fs.open_files().EndWork(ctx, inode);
  if (!attr) return Fail(attr.error());
  if (!ended) return Fail(ended.error());
  return fs.Show(*attr);
}

// Owner, mode and times, in metadata and then on the objects. Nobody else changes an open file
// meanwhile: the end of writing, which comes some time after close(2), reads the times of the
// object and stores them, and would undo a change of times that came in between.
Result<FileSystem::ShownAttr> Change(FileSystem& fs, const meta::CallContext& ctx, InodeId inode,
                                     const meta::AttrChange& change) {
  auto turn = fs.open_files().TakeTurn(inode);
  const auto set = [&] {
    auto attr = fs.metadata().SetAttr(ctx, inode, change);
    if (attr) fs.UpdateObjects(ctx, *attr, ChangesOwner(change), ChangesTimes(change));
    return attr;
  };
  auto attr = turn ? turn->Outside(set) : set();
  turn.reset();
  if (!attr) return Fail(attr.error());
  return fs.Show(*attr);
}

meta::AttrChange ChangeFrom(const struct stat& values, int to_set) {
  meta::AttrChange change;
  if (to_set & FUSE_SET_ATTR_MODE) change.mode = values.st_mode & 07777;
  if (to_set & FUSE_SET_ATTR_UID) change.uid = values.st_uid;
  if (to_set & FUSE_SET_ATTR_GID) change.gid = values.st_gid;
  if (to_set & FUSE_SET_ATTR_ATIME) change.atime = volumes::ToTimestamp(values.st_atim);
  if (to_set & FUSE_SET_ATTR_MTIME) change.mtime = volumes::ToTimestamp(values.st_mtim);
  change.atime_now = (to_set & FUSE_SET_ATTR_ATIME_NOW) != 0;
  change.mtime_now = (to_set & FUSE_SET_ATTR_MTIME_NOW) != 0;
  return change;
}

}  // namespace

void SetAttr(fuse_req_t request, fuse_ino_t node, struct stat* values, int to_set,
             fuse_file_info*) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId inode = fs.InodeOf(node);
  const auto ctx = fs.ContextOf(request);
  meta::AttrChange change = ChangeFrom(*values, to_set);
  const bool truncate = (to_set & FUSE_SET_ATTR_SIZE) != 0;
  // With HANDLE_KILLPRIV_V2 it is the file system that clears setuid and setgid: at every chown,
  // and when somebody without privilege truncates.
  change.clear_suid = ((change.uid || change.gid) && !change.mode) || (truncate && ctx.uid != 0);

  auto shown =
      truncate ? Truncate(fs, ctx, inode, values->st_size, change) : Change(fs, ctx, inode, change);
  if (!shown) return ReplyError(request, shown.error(), "setattr", inode);
  const bool may_be_executed = change.mode || change.uid || change.gid;
  if (may_be_executed && (shown->st.st_mode & 0111) != 0) fs.open_files().DropIdle(inode);
  fuse_reply_attr(request, &shown->st, shown->timeout_seconds);
}

}  // namespace pxfs::fs::ops
