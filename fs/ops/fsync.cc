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

// Its policy may say commit=close, and it is open for writing.
bool Commits(FileSystem& fs, InodeId inode) {
  auto file = fs.open_files().Find(inode);
  return file && (*file)->written() && (*file)->commit_copies > 0;
}

// What an fsync finds.
struct Present {
  bool written = false;  // it has writers
  bool covered = false;  // by an fsync before, but for data and times
  uint64_t changes = 0;
};

Present Look(FileSystem& fs, InodeId inode, uint64_t size_bytes) {
  auto file = fs.open_files().Find(inode);
  if (!file) return {};
  return {.written = (*file)->writers() > 0,
          .covered = (*file)->durable_size_bytes == size_bytes,
          .changes = (*file)->changes};
}

// Data first, then size and times, then the store with the file's name: after a power cut there is
// never a size without its data. Where bytes have only been overwritten since the last time,
// fdatasync has nothing to do but the data.
Status MakeDurable(FileSystem& fs, const meta::CallContext& ctx, InodeId inode, bool data_only) {
  PXFS_ASSIGN(auto fd, fs.open_files().Descriptor(inode, false));
  if ((data_only ? ::fdatasync(fd->get()) : ::fsync(fd->get())) != 0)
    return FailErrno(errno, "fsync of an object");
  struct stat st;
  if (::fstat(fd->get(), &st) != 0) return FailErrno(errno, "fstat of an object");
  const auto size_bytes = static_cast<uint64_t>(st.st_size);
  const Present present = Look(fs, inode, size_bytes);
  if (data_only && present.covered) return {};
  PXFS_TRY(MakeNameDurable(fs, inode));
  if (present.written) {
    const Status committed = fs.metadata().CommitContent(ctx, inode, volumes::ContentOf(st));
    // Under commit=close it may be committed already.
    if (!committed && !(committed.error() == Code::kInvalid && Commits(fs, inode)))
      return committed;
  }
  PXFS_TRY(fs.metadata().Sync());
  auto file = fs.open_files().Find(inode);
  if (file && present.written && (*file)->changes == present.changes && (*file)->commit_copies == 0)
    (*file)->durable_size_bytes = size_bytes;
  return {};
}

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
