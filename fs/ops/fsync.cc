#include "fs/file_system.h"
#include "fs/make_durable.h"
#include "fs/ops.h"

namespace pxfs::fs::ops {
namespace {

// Under commit=close: answers once the copies are there, else at once.
void Finish(FileSystem& fs, fuse_req_t request, InodeId inode, const char* operation) {
  const Result<uint32_t> copies = Commits(fs, inode) ? fs.open_files().Commit(inode) : 0;
  if (!copies) return ReplyError(request, copies.error(), operation, inode);
  if (*copies == 0) {
    fuse_reply_err(request, 0);
    return;
  }
  fs.commit_waiter().Await(inode, *copies, [request, inode, operation](const Status& there) {
    if (there)
      fuse_reply_err(request, 0);
    else
      ReplyError(request, there.error(), operation, inode);
  });
}

}  // namespace

void Fsync(fuse_req_t request, fuse_ino_t node, int data_only, fuse_file_info*) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId inode = fs.InodeOf(node);
  auto done = MakeDurable(fs, fs.DataContextOf(request), inode, data_only != 0);
  if (!done) return ReplyError(request, done.error(), "fsync", inode);
  Finish(fs, request, inode, "fsync");
}

// close(2) of a file that was open for writing under commit=close; older kernels send it for
// others, too.
void Flush(fuse_req_t request, fuse_ino_t node, fuse_file_info*) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId inode = fs.InodeOf(node);
  if (!Commits(fs, inode)) {
    fuse_reply_err(request, 0);
    return;
  }
  auto done = MakeDurable(fs, fs.DataContextOf(request), inode, /*data_only=*/false);
  if (!done) return ReplyError(request, done.error(), "close", inode);
  Finish(fs, request, inode, "close");
}

void FsyncDirectory(fuse_req_t request, fuse_ino_t node, int, fuse_file_info*) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  auto done = fs.metadata().Sync();
  if (!done) return ReplyError(request, done.error(), "fsyncdir", fs.InodeOf(node));
  fuse_reply_err(request, 0);
}

}  // namespace pxfs::fs::ops
