#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/logging.h"
#include "fs/file_system.h"
#include "fs/open_reply.h"
#include "fs/ops.h"

namespace pxfs::fs::ops {
namespace {

OpenTable::Mode ModeOf(const fuse_file_info& file) {
  return (file.flags & O_ACCMODE) == O_RDONLY ? OpenTable::Mode::kRead : OpenTable::Mode::kWrite;
}

// What opening with these flags takes.
uint32_t AccessFor(int flags) {
  constexpr uint32_t kExecute = 1, kWrite = 2, kRead = 4;
  constexpr int kToExecute = 0x20;  // FMODE_EXEC of Linux: execve(2)
  if (flags & kToExecute) return kExecute;
  const uint32_t truncates = flags & O_TRUNC ? kWrite : 0;
  switch (flags & O_ACCMODE) {
    case O_RDONLY:
      return kRead | truncates;
    case O_WRONLY:
      return kWrite;
    default:
      return kRead | kWrite;
  }
}

Status TruncateAtOpen(FileSystem& fs, fuse_req_t request, InodeId inode) {
  PXFS_ASSIGN(const auto hold, fs.open_files().BeginWrite(inode));
  PXFS_ASSIGN(auto fd, fs.open_files().Descriptor(inode, true));
  if (::ftruncate(fd->get(), 0) != 0) return FailErrno(errno, "truncating an object");
  if (Transport::ClearsSetId() || fs.IsSquashed(request)) fs.ClearSetId(request, inode);
  return {};
}

// O_RDONLY | O_TRUNC truncates too: a short time of writing beside the open for reading.
Status TruncateAtOpenForReading(FileSystem& fs, fuse_req_t request, InodeId inode) {
  const auto ctx = fs.DataContextOf(request);
  PXFS_TRY(fs.open_files().BeginWork(ctx, inode));
  Status truncated = fs.open_files().FlagsOf(inode) != 0 ? Fail(Code::kNotPermitted)
                                                         : TruncateAtOpen(fs, request, inode);
  auto ended = fs.open_files().EndWork(ctx, inode);
  return truncated ? ended : truncated;
}

// What is append-only is opened for appending, and what is immutable not for writing, also where
// somebody had it open when it became so.
Status CheckFlags(const OpenTable::Opened& opened, int flags) {
  const bool only_appends = (flags & O_APPEND) && !(flags & O_TRUNC);
  if ((opened.flags & meta::kImmutable) || ((opened.flags & meta::kAppendOnly) && !only_appends))
    return Fail(Code::kNotPermitted);
  return {};
}

}  // namespace

void Open(fuse_req_t request, fuse_ino_t node, fuse_file_info* file) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId inode = fs.InodeOf(node);
  const auto mode = ModeOf(*file);
  if (auto may = fs.CheckAccess(request, inode, AccessFor(file->flags)); !may)
    return ReplyInodeError(request, may.error(), "open", inode);
  const auto ctx = fs.DataContextOf(request);
  auto opened = fs.open_files().Open(ctx, inode, mode);
  if (!opened) return ReplyInodeError(request, opened.error(), "open", inode);
  Status ready = CheckFlags(*opened, file->flags);
  if (ready && (file->flags & O_TRUNC))
    ready = mode == OpenTable::Mode::kWrite ? TruncateAtOpen(fs, request, inode)
                                            : TruncateAtOpenForReading(fs, request, inode);
  if (!ready) {
    if (auto released = fs.open_files().Release(ctx, inode, mode); !released)
      log::error("release of inode {}: {}", inode.value, released.error().message());
    return ReplyInodeError(request, ready.error(), "open", inode);
  }
  // Its writes, Linux lets keep set-id bits.
  if (mode == OpenTable::Mode::kWrite && fs.IsSquashed(request)) fs.ClearSetId(request, inode);
  fs.CountOpen(inode, *opened);
  const abi::OpenOut reply = OpenReplyOf(*opened);
  // A reply that nobody waits for any more (the caller was killed): the kernel sends no release for
  // it.
  if (fuse_reply_buf(request, reinterpret_cast<const char*>(&reply), sizeof reply) == -ENOENT) {
    if (auto released = fs.open_files().Release(ctx, inode, mode); !released)
      log::error("release of inode {}: {}", inode.value, released.error().message());
  }
}

void Release(fuse_req_t request, fuse_ino_t node, fuse_file_info* file) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId inode = fs.InodeOf(node);
  auto released = fs.open_files().Release(fs.DataContextOf(request), inode, ModeOf(*file));
  if (!released) return ReplyError(request, released.error(), "release", inode);
  fuse_reply_err(request, 0);
}

}  // namespace pxfs::fs::ops
