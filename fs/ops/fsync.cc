#include <unistd.h>

#include <cerrno>

#include "fs/file_system.h"
#include "fs/ops.h"

namespace pxfs::fs::ops {
namespace {

// The object's name in its volume. Once for each file while it is open: whoever made the object, it
// is not made again.
Status MakeNameDurable(FileSystem& fs, InodeId inode) {
  std::shared_ptr<volumes::Volume> volume;
  volumes::ObjectName object;
  {
    auto file = fs.open_files().Find(inode);
    if (!file || (*file)->name_durable) return {};
    object = (*file)->object();
    PXFS_ASSIGN(volume, fs.volumes().Require(VolumeId((*file)->record->volume)));
  }
  PXFS_TRY(volume->SyncName(object));
  auto file = fs.open_files().Find(inode);
  if (file && (*file)->record->volume == volume->id().value &&
      (*file)->object().generation == object.generation)
    (*file)->name_durable = true;
  return {};
}

// Data first, then size and times, then the store with the file's name: after a power cut there is
// never a size without its data.
Status MakeDurable(FileSystem& fs, const meta::CallContext& ctx, InodeId inode, bool data_only) {
  PXFS_ASSIGN(auto fd, fs.open_files().Descriptor(inode, false));
  if ((data_only ? ::fdatasync(fd->get()) : ::fsync(fd->get())) != 0)
    return FailErrno(errno, "fsync of an object");
  PXFS_TRY(MakeNameDurable(fs, inode));
  bool writing = false;
  if (auto file = fs.open_files().Find(inode)) writing = (*file)->writers() > 0;
  if (writing) {
    struct stat st;
    if (::fstat(fd->get(), &st) != 0) return FailErrno(errno, "fstat of an object");
    PXFS_TRY(fs.metadata().CommitContent(ctx, inode, volumes::ContentOf(st)));
  }
  return fs.metadata().Sync();
}

}  // namespace

void Fsync(fuse_req_t request, fuse_ino_t node, int data_only, fuse_file_info*) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId inode = fs.InodeOf(node);
  auto done = MakeDurable(fs, fs.ContextOf(request), inode, data_only != 0);
  if (!done) return ReplyError(request, done.error(), "fsync", inode);
  fuse_reply_err(request, 0);
}

void FsyncDirectory(fuse_req_t request, fuse_ino_t node, int, fuse_file_info*) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  auto done = fs.metadata().Sync();
  if (!done) return ReplyError(request, done.error(), "fsyncdir", fs.InodeOf(node));
  fuse_reply_err(request, 0);
}

}  // namespace pxfs::fs::ops
