// What the kernel does not pass through even where reads and writes go to the object directly:
// fallocate, lseek for holes, copy_file_range. What clears set-id bits has come before them; see
// setattr.cc.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "fs/file_system.h"
#include "fs/ops.h"

namespace pxfs::fs::ops {

void Fallocate(fuse_req_t request, fuse_ino_t node, int mode, off_t offset, off_t length,
               fuse_file_info*) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId inode = fs.InodeOf(node);
  const uint32_t flags = fs.open_files().FlagsOf(inode);
  if ((flags & meta::kImmutable) ||
      ((flags & meta::kAppendOnly) && (mode & ~FALLOC_FL_KEEP_SIZE) != 0))
    return ReplyError(request, Error(Code::kNotPermitted), "fallocate", inode);
  const auto hold = fs.open_files().BeginWrite(inode);
  if (!hold) return ReplyError(request, hold.error(), "fallocate", inode);
  auto fd = fs.open_files().Descriptor(inode, true);
  if (!fd) return ReplyError(request, fd.error(), "fallocate", inode);
  if (::fallocate((*fd)->get(), mode, offset, length) != 0)
    return ReplyError(request, ErrnoError(errno, "fallocate of an object"), "fallocate", inode);
  fuse_reply_err(request, 0);
}

void Seek(fuse_req_t request, fuse_ino_t node, off_t offset, int whence, fuse_file_info*) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId inode = fs.InodeOf(node);
  auto fd = fs.open_files().Descriptor(inode, false);
  if (!fd) return ReplyError(request, fd.error(), "lseek", inode);
  const off_t found = ::lseek((*fd)->get(), offset, whence);
  if (found < 0)
    return ReplyError(request, ErrnoError(errno, "lseek in an object"), "lseek", inode);
  fuse_reply_lseek(request, found);
}

void CopyFileRange(fuse_req_t request, fuse_ino_t node_in, off_t offset_in, fuse_file_info*,
                   fuse_ino_t node_out, off_t offset_out, fuse_file_info*, size_t length,
                   int flags) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId target = fs.InodeOf(node_out);
  auto in = fs.open_files().Descriptor(fs.InodeOf(node_in), false);
  if (!in) return ReplyError(request, in.error(), "copy_file_range", fs.InodeOf(node_in));
  const auto hold = fs.open_files().BeginWrite(target);
  if (!hold) return ReplyError(request, hold.error(), "copy_file_range", target);
  auto out = fs.open_files().Descriptor(target, true);
  if (!out) return ReplyError(request, out.error(), "copy_file_range", target);
  const ssize_t copied = ::copy_file_range((*in)->get(), &offset_in, (*out)->get(), &offset_out,
                                           length, static_cast<unsigned>(flags));
  if (copied < 0 && errno == EXDEV) {  // volumes differ: the kernel copies by reading and writing
    fuse_reply_err(request, EOPNOTSUPP);
    return;
  }
  if (copied < 0)
    return ReplyError(request, ErrnoError(errno, "copy_file_range"), "copy_file_range", target);
  fuse_reply_write(request, static_cast<size_t>(copied));
}

}  // namespace pxfs::fs::ops
