#include "fs/file_system.h"
#include "fs/ops.h"

namespace pxfs::fs::ops {

void Link(fuse_req_t request, fuse_ino_t node, fuse_ino_t new_parent,
          const char* new_name) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId inode = fs.InodeOf(node);
  auto attr = fs.metadata().Link(fs.ContextOf(request), inode, fs.InodeOf(new_parent), new_name);
  if (!attr) return ReplyError(request, attr.error(), "link", inode);
  fs.RemoveOrphan(inode);  // it may have been a file without a name
  const fuse_entry_param entry = fs.EntryOf(*attr);
  fuse_reply_entry(request, &entry);
}

}  // namespace pxfs::fs::ops
