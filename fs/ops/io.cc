// Data that does not go by passthrough: the kernel lacks it, or this open cannot use it.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "fs/file_system.h"
#include "fs/ops.h"

namespace pxfs::fs::ops {

void Read(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
          fuse_file_info*) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId inode = fs.InodeOf(node);
  std::vector<VolumeId> tried;
  auto fd = fs.open_files().Descriptor(inode, false);
  if (!fd && fd.error() == Code::kNotFound)
    fd = fs.open_files().ReadElsewhere(fs.DataContextOf(request), inode, nullptr, tried);
  const auto memory = fs.buffers().Take(size);
  char* const buffer = memory.data();
  size_t done = 0;
  while (fd && done < size) {  // the kernel takes a short answer for the end of the file
    const ssize_t n =
        ::pread((*fd)->get(), buffer + done, size - done, offset + static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) break;
    if (n > 0)
      done += static_cast<size_t>(n);
    else if (errno == EIO)
      fd = fs.open_files().ReadElsewhere(fs.DataContextOf(request), inode, *fd, tried);
    else
      fd = FailErrno(errno, "reading an object");
  }
  if (!fd) return ReplyError(request, fd.error(), "read", inode);
  fs.CountRead(inode, done);
  fuse_reply_buf(request, buffer, done);
}

void Write(fuse_req_t request, fuse_ino_t node, const char* data, size_t size, off_t offset,
           fuse_file_info*) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId inode = fs.InodeOf(node);
  auto hold = fs.open_files().BeginWrite(inode);
  if (!hold) return ReplyError(request, hold.error(), "write", inode);
  auto fd = fs.open_files().Descriptor(inode, true);
  if (!fd) return ReplyError(request, fd.error(), "write", inode);
  size_t done = 0;
  while (done < size) {
    const ssize_t n =
        ::pwrite((*fd)->get(), data + done, size - done, offset + static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && done > 0) break;
    if (n < 0) return ReplyError(request, ErrnoError(errno, "writing an object"), "write", inode);
    done += static_cast<size_t>(n);
  }
  hold = OpenTable::WriteHold();  // the rest is no change of content
  // A write that goes past the backing (FOPEN_DIRECT_IO) is the only change of content before which
  // the kernel does not remove them itself.
  if (fs.open_files().HasBacking(inode)) fs.RemoveCapabilities(inode);
  if (Transport::ClearsSetId()) fs.ClearSetId(request, inode);
  fs.CountWritten(inode, done);
  fuse_reply_write(request, done);
}

}  // namespace pxfs::fs::ops
