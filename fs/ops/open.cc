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

Status TruncateAtOpen(FileSystem& fs, fuse_req_t request, InodeId inode) {
  PXFS_ASSIGN(auto fd, fs.open_files().Descriptor(inode, true));
  if (::ftruncate(fd->get(), 0) != 0) return FailErrno(errno, "truncating an object");
  if (Transport::ClearsSetId()) fs.ClearSetId(request, inode);
  return {};
}

}  // namespace

void Open(fuse_req_t request, fuse_ino_t node, fuse_file_info* file) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId inode = fs.InodeOf(node);
  const auto ctx = fs.ContextOf(request);
  const auto mode = ModeOf(*file);
  auto opened = fs.open_files().Open(ctx, inode, mode);
  if (!opened) return ReplyError(request, opened.error(), "open", inode);
  if (file->flags & O_TRUNC) {
    if (auto truncated = TruncateAtOpen(fs, request, inode); !truncated) {
      if (auto released = fs.open_files().Release(ctx, inode, mode); !released)
        log::error("release of inode {}: {}", inode.value, released.error().message());
      return ReplyError(request, truncated.error(), "open", inode);
    }
  }
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
  auto released = fs.open_files().Release(fs.ContextOf(request), inode, ModeOf(*file));
  if (!released) return ReplyError(request, released.error(), "release", inode);
  fuse_reply_err(request, 0);
}

}  // namespace pxfs::fs::ops
