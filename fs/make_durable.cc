#include "fs/make_durable.h"

#include <unistd.h>

#include <cerrno>

namespace pxfs::fs {
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

}  // namespace

bool Commits(FileSystem& fs, InodeId inode) {
  auto file = fs.open_files().Find(inode);
  return file && (*file)->written() && (*file)->commit_copies > 0;
}

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

}  // namespace pxfs::fs
