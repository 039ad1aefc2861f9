#include "fs/file_system.h"
#include "fs/ops.h"

namespace pxfs::fs::ops {

void Rename(fuse_req_t request, fuse_ino_t parent, const char* name, fuse_ino_t new_parent,
            const char* new_name, unsigned int flags) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId directory = fs.InodeOf(parent);
  auto replaced = fs.metadata().Rename(fs.ContextOf(request), directory, name,
                                       fs.InodeOf(new_parent), new_name, flags);
  if (!replaced) return ReplyError(request, replaced.error(), "rename", directory);
  if (replaced->orphaned) fs.AddOrphan(replaced->inode);
  fuse_reply_err(request, 0);
}

}  // namespace pxfs::fs::ops
