// Everything that gets a name without being opened: mknod, mkdir, symlink.
#include "fs/file_system.h"
#include "fs/ops.h"

namespace pxfs::fs::ops {
namespace {

void Make(fuse_req_t request, fuse_ino_t parent, const char* name, meta::NewNode node,
          const char* operation) {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId directory = fs.InodeOf(parent);
  node.umask = fuse_req_ctx(request)->umask;
  auto attr = fs.metadata().MakeNode(fs.ContextOf(request), directory, name, node);
  if (!attr) return ReplyError(request, attr.error(), operation, directory);
  const fuse_entry_param entry = fs.EntryOf(*attr, directory);
  fuse_reply_entry(request, &entry);
}

}  // namespace

void MakeNode(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode,
              dev_t rdev) noexcept {
  Make(request, parent, name, {.mode = mode, .rdev = rdev}, "mknod");
}

void MakeDirectory(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode) noexcept {
  Make(request, parent, name, {.mode = (mode & 07777) | S_IFDIR}, "mkdir");
}

void SymLink(fuse_req_t request, const char* target, fuse_ino_t parent, const char* name) noexcept {
  Make(request, parent, name, {.mode = S_IFLNK | 0777, .symlink_target = target}, "symlink");
}

}  // namespace pxfs::fs::ops
