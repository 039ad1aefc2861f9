// The kernel has dropped an inode. Inodes that still have names need nothing; an orphan's end may
// come now. How many lookups the kernel had counted does not matter: an orphan cannot be looked up
// again.
#include "fs/file_system.h"
#include "fs/ops.h"

namespace pxfs::fs::ops {

void Forget(fuse_req_t request, fuse_ino_t node, uint64_t) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  fs.Forgotten(fs.InodeOf(node));
  fuse_reply_none(request);
}

void ForgetMany(fuse_req_t request, size_t count, fuse_forget_data* forgets) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  for (size_t i = 0; i < count; ++i) fs.Forgotten(fs.InodeOf(forgets[i].ino));
  fuse_reply_none(request);
}

}  // namespace pxfs::fs::ops
