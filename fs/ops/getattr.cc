#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fs/file_system.h"
#include "fs/kernel_abi.h"
#include "fs/ops.h"

namespace pxfs::fs::ops {
namespace {

abi::StatxTime Time(const timespec& time) {
  return {time.tv_sec, static_cast<uint32_t>(time.tv_nsec), 0};
}

// The same attributes and the time of birth, which only statx(2) asks for.
void ReplyStatx(fuse_req_t request, const FileSystem::ShownAttr& shown, meta::Timestamp birth) {
  const struct stat& st = shown.st;
  abi::StatxOut out{};
  out.attr_valid = static_cast<uint64_t>(shown.timeout_seconds);
  out.attr_valid_nsec =
      static_cast<uint32_t>((shown.timeout_seconds - static_cast<double>(out.attr_valid)) * 1e9);
  out.mask = STATX_BASIC_STATS | STATX_BTIME;
  out.blksize = static_cast<uint32_t>(st.st_blksize);
  out.nlink = static_cast<uint32_t>(st.st_nlink);
  out.uid = st.st_uid;
  out.gid = st.st_gid;
  out.mode = static_cast<uint16_t>(st.st_mode);
  out.ino = st.st_ino;
  out.size = static_cast<uint64_t>(st.st_size);
  out.blocks = static_cast<uint64_t>(st.st_blocks);
  out.atime = Time(st.st_atim);
  out.btime = Time(volumes::ToTimespec(birth));
  out.ctime = Time(st.st_ctim);
  out.mtime = Time(st.st_mtim);
  out.rdev_major = major(st.st_rdev);
  out.rdev_minor = minor(st.st_rdev);
  fuse_reply_buf(request, reinterpret_cast<const char*>(&out), sizeof out);
}

}  // namespace

void GetAttr(fuse_req_t request, fuse_ino_t node, fuse_file_info*) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId inode = fs.InodeOf(node);
  auto file = fs.open_files().Find(inode);
  auto attr = fs.metadata().GetAttr(fs.ContextOf(request), inode);
  if (!attr) return ReplyInodeError(request, attr.error(), "getattr", inode);
  const auto shown = fs.Show(*attr, std::move(file));
  if (Transport::AsksForStatx()) return ReplyStatx(request, shown, attr->btime);
  fuse_reply_attr(request, &shown.st, shown.timeout_seconds);
}

}  // namespace pxfs::fs::ops
