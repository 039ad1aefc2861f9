#include <string_view>

#include "fs/file_system.h"
#include "fs/ops.h"

namespace pxfs::fs::ops {

void Lookup(fuse_req_t request, fuse_ino_t parent, const char* name) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const auto ctx = fs.ContextOf(request);
  const InodeId directory = fs.InodeOf(parent);
  const std::string_view wanted(name);
  Result<meta::Attr> attr = Fail(Code::kNotFound);
  if (wanted == ".") {
    // The kernel asks so for a file handle whose inode it does not have. A nameless one it has had,
    // and is just forgetting.
    attr = fs.metadata().GetAttr(ctx, directory);
    if (attr && attr->nlink == 0) attr = Fail(Code::kStale);
  } else if (wanted == "..") {
    auto page = fs.metadata().ReadDirectory(fs.DataContextOf(request), directory, 0, 0, false);
    attr = page ? fs.metadata().GetAttr(ctx, page->parent) : Fail(page.error());
  } else {
    attr = fs.metadata().Lookup(ctx, directory, wanted);
  }
  if (!attr && attr.error() == Code::kNotFound && wanted != "." && wanted != "..") {
    fuse_entry_param absent{};
    absent.entry_timeout = fs.NegativeTimeout(directory);
    fuse_reply_entry(request, &absent);
    return;
  }
  if (!attr) return ReplyInodeError(request, attr.error(), "lookup", directory);
  const fuse_entry_param entry = fs.EntryOf(*attr, directory);
  fuse_reply_entry(request, &entry);
}

}  // namespace pxfs::fs::ops
