// Reading directories. There is no state between calls: the offset is the cookie of the last entry
// (metadata's), which stays right however entries come and go. "." and ".." have the offsets 1 and
// 2; cookies are larger (kFirstCookie).
#include <cerrno>
#include <memory>

#include "fs/file_system.h"
#include "fs/ops.h"

namespace pxfs::fs::ops {
namespace {

constexpr off_t kDotOffset = 1, kDotDotOffset = 2;
constexpr uint32_t kPageEntries = 256;

// Collects entries in the form of the reply until it is full.
class Listing {
 public:
  Listing(fuse_req_t request, size_t size, bool plus)
      : request_(request),
        size_(size),
        plus_(plus),
        buffer_(std::make_unique_for_overwrite<char[]>(size)) {}

  // False: no room left.
  bool Add(const char* name, const fuse_entry_param& entry, off_t next) {
    char* at = buffer_.get() + used_;
    const size_t room = size_ - used_;
    const size_t needed = plus_ ? fuse_add_direntry_plus(request_, at, room, name, &entry, next)
                                : fuse_add_direntry(request_, at, room, name, &entry.attr, next);
    if (needed > room) return false;
    used_ += needed;
    return true;
  }
  // "." or "..": the kernel takes no lookup from these.
  bool AddDot(const char* name, uint64_t inode, off_t next) {
    fuse_entry_param entry{};
    entry.attr.st_ino = inode;
    entry.attr.st_mode = S_IFDIR;
    return Add(name, entry, next);
  }
  void Reply() { fuse_reply_buf(request_, buffer_.get(), used_); }
  bool empty() const { return used_ == 0; }

 private:
  const fuse_req_t request_;
  const size_t size_;
  const bool plus_;
  const std::unique_ptr<char[]> buffer_;
  size_t used_ = 0;
};

fuse_entry_param PlainEntry(const meta::Attr& attr) {
  fuse_entry_param entry{};
  entry.attr.st_ino = attr.inode.value;
  entry.attr.st_mode = attr.mode;
  return entry;
}

void List(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset, bool plus) {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId directory = fs.InodeOf(node);
  const auto ctx = fs.ContextOf(request);
  Listing listing(request, size, plus);
  const double timeout = plus ? fs.EntryTimeout(directory) : 0;
  const bool from_the_start = offset == 0;
  uint64_t cookie = offset > kDotDotOffset ? static_cast<uint64_t>(offset) : 0;
  for (;;) {
    auto page = fs.metadata().ReadDirectory(ctx, directory, cookie, kPageEntries, plus);
    if (!page) {
      if (!listing.empty()) break;  // the error comes again where the next call begins
      return ReplyError(request, page.error(), "readdir", directory);
    }
    if (offset < kDotOffset && !listing.AddDot(".", directory.value, kDotOffset)) break;
    const uint64_t parent = directory == fs.options().root ? directory.value : page->parent.value;
    if (offset < kDotDotOffset && !listing.AddDot("..", parent, kDotDotOffset)) break;
    offset = kDotDotOffset;
    bool full = false;
    for (const auto& entry : page->entries) {
      const fuse_entry_param shown =
          plus ? fs.EntryOf(entry.attr, timeout) : PlainEntry(entry.attr);
      full = !listing.Add(entry.name.c_str(), shown, static_cast<off_t>(entry.cookie));
      if (full) break;
      cookie = entry.cookie;
    }
    if (full || page->end) break;
  }
  if (from_the_start) fs.MoveAccessTime(directory, FileSystem::Accessed::kDirectory);
  listing.Reply();
}

}  // namespace

// No state: the kernel need not even ask (it caches listings until the directory changes). Where
// root is squashed it must, since what is cached may be a listing that root may not read.
void OpenDirectory(fuse_req_t request, fuse_ino_t node, fuse_file_info* file) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  if (!fs.options().squash) {
    fuse_reply_err(request, ENOSYS);
    return;
  }
  constexpr uint32_t kRead = 4;
  const InodeId directory = fs.InodeOf(node);
  if (auto may = fs.CheckAccess(request, directory, kRead); !may)
    return ReplyInodeError(request, may.error(), "opendir", directory);
  file->cache_readdir = 1;
  file->keep_cache = 1;
  fuse_reply_open(request, file);
}

void ReadDirectory(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
                   fuse_file_info*) noexcept {
  List(request, node, size, offset, false);
}

void ReadDirectoryPlus(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
                       fuse_file_info*) noexcept {
  List(request, node, size, offset, true);
}

}  // namespace pxfs::fs::ops
