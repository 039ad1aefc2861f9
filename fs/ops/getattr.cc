#include "fs/file_system.h"
#include "fs/ops.h"

namespace pxfs::fs::ops {

void GetAttr(fuse_req_t request, fuse_ino_t node, fuse_file_info*) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId inode = fs.InodeOf(node);
  auto file = fs.open_files().Find(inode);
  auto attr = fs.metadata().GetAttr(fs.ContextOf(request), inode);
  if (!attr) return ReplyError(request, attr.error(), "getattr", inode);
  const auto shown = fs.Show(*attr, std::move(file));
  fuse_reply_attr(request, &shown.st, shown.timeout_seconds);
}

}  // namespace pxfs::fs::ops
