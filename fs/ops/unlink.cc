#include "fs/file_system.h"
#include "fs/ops.h"

namespace pxfs::fs::ops {
namespace {

// The orphan is noted before the reply: the kernel may forget it right after.
void Reply(fuse_req_t request, FileSystem& fs, const Result<meta::Removed>& removed,
           const char* operation, InodeId directory) {
  if (!removed) return ReplyError(request, removed.error(), operation, directory);
  if (removed->orphaned) fs.AddOrphan(removed->inode);
  fuse_reply_err(request, 0);
}

}  // namespace

void Unlink(fuse_req_t request, fuse_ino_t parent, const char* name) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId directory = fs.InodeOf(parent);
  Reply(request, fs, fs.metadata().Unlink(fs.ContextOf(request), directory, name), "unlink",
        directory);
}

void RemoveDirectory(fuse_req_t request, fuse_ino_t parent, const char* name) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId directory = fs.InodeOf(parent);
  Reply(request, fs, fs.metadata().RemoveDirectory(fs.ContextOf(request), directory, name), "rmdir",
        directory);
}

}  // namespace pxfs::fs::ops
