// The flags of files that chattr(1) and lsattr(1) know. Linux translates both pairs of ioctls into
// each other for whoever asks, and has checked that the caller may (CAP_LINUX_IMMUTABLE) before it
// sets.
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>

#include "fs/file_system.h"
#include "fs/ops.h"

namespace pxfs::fs::ops {
namespace {

static_assert(meta::kImmutable == FS_IMMUTABLE_FL && meta::kAppendOnly == FS_APPEND_FL);

uint32_t FromXflags(uint32_t xflags) {
  return ((xflags & FS_XFLAG_IMMUTABLE) ? meta::kImmutable : 0) |
         ((xflags & FS_XFLAG_APPEND) ? meta::kAppendOnly : 0);
}

uint32_t ToXflags(uint32_t flags) {
  return ((flags & meta::kImmutable) ? FS_XFLAG_IMMUTABLE : 0) |
         ((flags & meta::kAppendOnly) ? FS_XFLAG_APPEND : 0);
}

// kNotSupported for what is not kept, so that nobody relies on it.
Result<uint32_t> Wanted(unsigned command, const void* bytes, size_t size) {
  if (command == FS_IOC_SETFLAGS) {
    uint32_t flags = 0;
    if (size < sizeof flags) return Fail(Code::kInvalid);
    std::memcpy(&flags, bytes, sizeof flags);
    if ((flags & ~meta::kKeptFlags) != 0) return Fail(Code::kNotSupported);
    return flags;
  }
  fsxattr attributes;
  if (size < sizeof attributes) return Fail(Code::kInvalid);
  std::memcpy(&attributes, bytes, sizeof attributes);
  const uint32_t flags = FromXflags(attributes.fsx_xflags);
  if (attributes.fsx_xflags != ToXflags(flags) || attributes.fsx_extsize != 0 ||
      attributes.fsx_projid != 0 || attributes.fsx_cowextsize != 0)
    return Fail(Code::kNotSupported);
  return flags;
}

void Tell(fuse_req_t request, unsigned command, uint32_t flags, size_t room) {
  fsxattr attributes{};
  attributes.fsx_xflags = ToXflags(flags);
  const void* reply = &attributes;
  size_t size = sizeof attributes;
  if (command == FS_IOC_GETFLAGS) {
    reply = &flags;
    size = sizeof flags;
  }
  if (room < size)
    fuse_reply_err(request, EINVAL);
  else
    fuse_reply_ioctl(request, 0, reply, size);
}

}  // namespace

void Ioctl(fuse_req_t request, fuse_ino_t node, unsigned command, void*, fuse_file_info*, unsigned,
           const void* in, size_t in_size, size_t out_size) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId inode = fs.InodeOf(node);
  const auto ctx = fs.ContextOf(request);
  switch (command) {
    case FS_IOC_GETFLAGS:
    case FS_IOC_FSGETXATTR: {
      const auto attr = fs.metadata().GetAttr(ctx, inode);
      if (!attr) return ReplyInodeError(request, attr.error(), "ioctl", inode);
      return Tell(request, command, attr->flags, out_size);
    }
    case FS_IOC_SETFLAGS:
    case FS_IOC_FSSETXATTR: {
      const auto flags = Wanted(command, in, in_size);
      if (!flags) return ReplyInodeError(request, flags.error(), "ioctl", inode);
      meta::AttrChange change;
      change.flags = *flags;
      const auto changed = fs.metadata().SetAttr(ctx, inode, change);
      if (!changed) return ReplyInodeError(request, changed.error(), "ioctl", inode);
      fs.open_files().SetFlags(inode, changed->flags);
      fuse_reply_ioctl(request, 0, nullptr, 0);
      return;
    }
    default:
      fuse_reply_err(request, ENOTTY);
  }
}

}  // namespace pxfs::fs::ops
