#include "fs/file_system.h"
#include "fs/ops.h"

namespace pxfs::fs::ops {

void ReadLink(fuse_req_t request, fuse_ino_t node) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  auto target = fs.metadata().ReadLink(fs.ContextOf(request), fs.InodeOf(node));
  if (!target) return ReplyInodeError(request, target.error(), "readlink", fs.InodeOf(node));
  fs.MoveAccessTime(fs.InodeOf(node), FileSystem::Accessed::kSymlink);
  fuse_reply_readlink(request, target->c_str());
}

}  // namespace pxfs::fs::ops
