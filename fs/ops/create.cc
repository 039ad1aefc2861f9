#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/logging.h"
#include "fs/file_system.h"
#include "fs/open_reply.h"
#include "fs/ops.h"

namespace pxfs::fs::ops {
namespace {

// fuse_entry_out followed by fuse_open_out, as fuse_reply_create sends them.
struct CreateOut {
  fuse_entry_out entry;
  abi::OpenOut open;
};
static_assert(sizeof(CreateOut) == sizeof(fuse_entry_out) + sizeof(fuse_open_out));

// While a file is written its attributes are not cached, but the kernel asks for them once more on
// the way back from creating it (may_open), unless they are good for a moment. Nothing is missed:
// other sessions' changes are revoked, and what this mount writes the kernel sees.
constexpr double kNewFileAttrTimeoutSeconds = 0.01;

void SetTimeout(double seconds, uint64_t* whole, uint32_t* nanoseconds) {
  *whole = static_cast<uint64_t>(seconds);
  *nanoseconds = static_cast<uint32_t>((seconds - static_cast<double>(*whole)) * 1e9);
}

fuse_entry_out EntryOut(const fuse_entry_param& entry) {
  fuse_entry_out out{};
  out.nodeid = entry.ino;
  SetTimeout(entry.entry_timeout, &out.entry_valid, &out.entry_valid_nsec);
  SetTimeout(entry.attr_timeout, &out.attr_valid, &out.attr_valid_nsec);
  const struct stat& st = entry.attr;
  out.attr.ino = st.st_ino;
  out.attr.size = static_cast<uint64_t>(st.st_size);
  out.attr.blocks = static_cast<uint64_t>(st.st_blocks);
  out.attr.atime = static_cast<uint64_t>(st.st_atim.tv_sec);
  out.attr.mtime = static_cast<uint64_t>(st.st_mtim.tv_sec);
  out.attr.ctime = static_cast<uint64_t>(st.st_ctim.tv_sec);
  out.attr.atimensec = static_cast<uint32_t>(st.st_atim.tv_nsec);
  out.attr.mtimensec = static_cast<uint32_t>(st.st_mtim.tv_nsec);
  out.attr.ctimensec = static_cast<uint32_t>(st.st_ctim.tv_nsec);
  out.attr.mode = st.st_mode;
  out.attr.nlink = static_cast<uint32_t>(st.st_nlink);
  out.attr.uid = st.st_uid;
  out.attr.gid = st.st_gid;
  out.attr.rdev = static_cast<uint32_t>(st.st_rdev);
  out.attr.blksize = static_cast<uint32_t>(st.st_blksize);
  return out;
}

// "/" is the kernel's name in a request for a file without a name (O_TMPFILE), see
// DevFuseTransport::Read.
bool IsNameless(const char* name) { return std::strcmp(name, "/") == 0; }

struct Created {
  meta::Location location;
  OpenTable::Opened opened;
};

// The file exists, empty, and is not open: takes it back.
void TakeBack(FileSystem& fs, const meta::CallContext& ctx, InodeId directory, const char* name,
              InodeId inode) {
  if (!IsNameless(name)) {
    auto removed = fs.metadata().Unlink(ctx, directory, name);
    if (removed && removed->orphaned) fs.AddOrphan(inode);
  }
  fs.Forgotten(inode);
}

// no_object: that the volume did not take its object is what failed, so that another may.
Result<Created> CreateOnce(FileSystem& fs, const meta::CallContext& ctx, InodeId directory,
                           const char* name, const meta::NewNode& node, OpenTable::Mode mode,
                           bool* no_object) {
  const bool nameless = IsNameless(name);
  PXFS_ASSIGN(const meta::Location created,
              fs.metadata().Create(ctx, directory,
                                   nameless ? std::string_view() : std::string_view(name), node));
  const InodeId inode = created.attr.inode;
  if (nameless) fs.AddOrphan(inode);
  auto opened = fs.open_files().Open(ctx, inode, mode, &created);
  if (opened) return Created{created, *opened};
  TakeBack(fs, ctx, directory, name, inode);
  *no_object = opened.error() != Code::kTooManyOpen;
  return Fail(opened.error());
}

// Gives up a file that was just created.
Status Undo(FileSystem& fs, const meta::CallContext& ctx, InodeId directory, const char* name,
            InodeId inode, OpenTable::Mode mode) {
  PXFS_TRY(fs.open_files().Release({.session = fs.session()}, inode, mode));
  TakeBack(fs, ctx, directory, name, inode);
  return {};
}

// Placement knows of a volume what its node said a moment ago. One that became full, read-only or
// unreachable since then is found out here, and the file goes elsewhere.
Result<Created> CreateWhereThereIsRoom(FileSystem& fs, const meta::CallContext& ctx,
                                       InodeId directory, const char* name,
                                       const meta::NewNode& node, OpenTable::Mode mode) {
  constexpr int kAttempts = 4;
  for (int attempt = 1;; ++attempt) {
    bool no_object = false;
    auto created = CreateOnce(fs, ctx, directory, name, node, mode, &no_object);
    if (attempt == kAttempts || (!created && !no_object)) return created;
    if (created) {
      const auto volume = fs.volumes().Find(created->location.replicas.front().volume);
      if (!volume || !fs.volumes().BelowReserve(*volume)) return created;
      PXFS_TRY(Undo(fs, ctx, directory, name, created->location.attr.inode, mode));
    }
    PXFS_TRY(fs.volumes().Refresh());
  }
}

}  // namespace

void Create(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode,
            fuse_file_info* file) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId directory = fs.InodeOf(parent);
  const auto ctx = fs.ContextOf(request);
  meta::NewNode inode_spec;
  inode_spec.mode = (mode & 07777) | S_IFREG;
  inode_spec.umask = fuse_req_ctx(request)->umask;
  // The kernel creates with O_EXCL semantics: whoever opens a name that came into being meanwhile
  // asks again.
  const auto open_mode =
      (file->flags & O_ACCMODE) == O_RDONLY ? OpenTable::Mode::kRead : OpenTable::Mode::kWrite;
  auto made = CreateWhereThereIsRoom(fs, ctx, directory, name, inode_spec, open_mode);
  if (!made) return ReplyError(request, made.error(), "create", directory);
  const auto& [created, opened] = *made;
  const InodeId inode = created.attr.inode;
  fs.CountOpen(inode, opened);
  fuse_entry_param entry = fs.EntryOf(created.attr, directory);
  entry.attr_timeout = std::min(kNewFileAttrTimeoutSeconds, fs.options().attr_timeout_seconds);
  CreateOut reply{EntryOut(entry), OpenReplyOf(opened)};
  if (fuse_reply_buf(request, reinterpret_cast<const char*>(&reply), sizeof reply) == -ENOENT) {
    if (auto released = fs.open_files().Release(ctx, inode, open_mode); !released)
      log::error("release of inode {}: {}", inode.value, released.error().message());
    if (IsNameless(name)) fs.Forgotten(inode);
  }
}

}  // namespace pxfs::fs::ops
