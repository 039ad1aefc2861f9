#include <sys/statvfs.h>

#include <algorithm>

#include "fs/file_system.h"
#include "fs/ops.h"

namespace pxfs::fs::ops {

void StatFs(fuse_req_t request, fuse_ino_t node) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  auto space = fs.metadata().GetStatFs();
  if (!space) return ReplyError(request, space.error(), "statfs", fs.InodeOf(node));
  constexpr uint64_t kBlock = 4096;
  // Inode numbers are not what runs out here: room for as many more as free blocks could hold.
  const uint64_t free_inodes = std::max<uint64_t>(space->free_bytes / kBlock, 1);
  struct statvfs st {};
  st.f_bsize = kBlock;
  st.f_frsize = kBlock;
  st.f_blocks = space->total_bytes / kBlock;
  st.f_bfree = space->free_bytes / kBlock;
  st.f_bavail = space->available_bytes / kBlock;
  st.f_files = space->inodes + free_inodes;
  st.f_ffree = free_inodes;
  st.f_favail = free_inodes;
  st.f_namemax = meta::kMaxNameBytes;
  fuse_reply_statfs(request, &st);
}

}  // namespace pxfs::fs::ops
