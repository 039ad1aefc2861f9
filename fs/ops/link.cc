#include <sys/stat.h>

#include <fstream>

#include "fs/file_system.h"
#include "fs/ops.h"

namespace pxfs::fs::ops {
namespace {

// fs.protected_hardlinks of proc(5).
bool LinksAreProtected() {
  int value = 1;
  std::ifstream("/proc/sys/fs/protected_hardlinks") >> value;
  return value != 0;
}

// What Linux asks then of whom it does not let do everything.
Status CheckSource(FileSystem& fs, fuse_req_t request, InodeId inode) {
  if (!fs.IsSquashed(request) || !LinksAreProtected()) return {};
  const auto ctx = fs.ContextOf(request);
  PXFS_ASSIGN(const meta::Attr attr, fs.metadata().GetAttr(ctx, inode));
  if (attr.uid == ctx.uid) return {};
  const bool set_id =
      (attr.mode & S_ISUID) || (attr.mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
  constexpr uint32_t kReadAndWrite = 6;
  if (attr.is_regular() && !set_id && fs.CheckAccess(request, inode, kReadAndWrite)) return {};
  return Fail(Code::kNotPermitted);
}

}  // namespace

void Link(fuse_req_t request, fuse_ino_t node, fuse_ino_t new_parent,
          const char* new_name) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId inode = fs.InodeOf(node);
  const InodeId directory = fs.InodeOf(new_parent);
  if (auto may = CheckSource(fs, request, inode); !may)
    return ReplyError(request, may.error(), "link", inode);
  auto attr = fs.metadata().Link(fs.ContextOf(request), inode, directory, new_name);
  if (!attr) return ReplyError(request, attr.error(), "link", inode);
  fs.RemoveOrphan(inode);  // it may have been a file without a name
  const fuse_entry_param entry = fs.EntryOf(*attr, directory);
  fuse_reply_entry(request, &entry);
}

}  // namespace pxfs::fs::ops
