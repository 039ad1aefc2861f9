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
  if (wanted == ".") {  // the kernel asks so for file handles that come from outside
    attr = fs.metadata().GetAttr(ctx, directory);
  } else if (wanted == "..") {
    auto page = fs.metadata().ReadDirectory(ctx, directory, 0, 0, false);
    attr = page ? fs.metadata().GetAttr(ctx, page->parent) : Fail(page.error());
  } else {
    attr = fs.metadata().Lookup(ctx, directory, wanted);
  }
  if (!attr && attr.error() == Code::kNotFound && wanted != "." && wanted != "..") {
    fuse_entry_param absent{};
    absent.entry_timeout = fs.options().negative_timeout_seconds;
    fuse_reply_entry(request, &absent);
    return;
  }
  if (!attr) return ReplyError(request, attr.error(), "lookup", directory);
  const fuse_entry_param entry = fs.EntryOf(*attr);
  fuse_reply_entry(request, &entry);
}

}  // namespace pxfs::fs::ops
