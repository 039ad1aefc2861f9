#include <sys/stat.h>

#include <cerrno>
#include <string>

#include "base/logging.h"
#include "fs/file_system.h"
#include "fs/ops.h"
#include "fs/virtual_xattr.h"
#include "meta/posix_acl.h"

namespace pxfs::fs::ops {
namespace {

// size 0: the caller asks for the length.
void ReplySized(fuse_req_t request, const std::string& value, size_t size) {
  if (size == 0) {
    fuse_reply_xattr(request, value.size());
  } else if (size < value.size()) {
    fuse_reply_err(request, ERANGE);
  } else {
    fuse_reply_buf(request, value.data(), value.size());
  }
}

// The mode says what the access list says, and is the objects' too. As with chmod(2), who is not in
// the file's group leaves no setgid behind.
void FollowAccessList(FileSystem& fs, fuse_req_t request, InodeId inode) {
  auto ctx = fs.ContextOf(request);
  auto attr = fs.metadata().GetAttr(ctx, inode);
  if (attr && (attr->mode & S_ISGID)) {
    const Caller caller = fs.CallerOf(request);
    ctx.request = 0;  // it has been recorded with the list
    if (!caller.may_set_id && !caller.InGroup(attr->gid))
      attr = fs.metadata().SetAttr(ctx, inode, {.mode = attr->mode & 07777 & ~uint32_t{S_ISGID}});
  }
  if (attr) return fs.UpdateObjects(ctx, *attr, true, false);
  log::warn("inode {}: its mode after a change of its access list: {}", inode.value,
            attr.error().message());
}

constexpr uint32_t kRead = 4, kWrite = 2;

// What Linux asks of user.* names, where it has not.
Status CheckVirtual(FileSystem& fs, fuse_req_t request, InodeId inode, std::string_view name,
                    uint32_t wanted) {
  return IsVirtualXattr(name) ? fs.CheckAccess(request, inode, wanted) : Status();
}

// The kernel takes the capabilities of a program away when its content or owner changes, and does
// so in the name of who changes it.
bool RemovesWithContent(FileSystem& fs, fuse_req_t request, InodeId inode, std::string_view name) {
  if (!fs.IsSquashed(request) || name != "security.capability") return false;
  const auto attr = fs.metadata().GetAttr(fs.DataContextOf(request), inode);
  return (attr && attr->uid == fs.options().squash->uid) || fs.open_files().IsWritten(inode) ||
         fs.CheckAccess(request, inode, kWrite);
}

}  // namespace

void GetXattr(fuse_req_t request, fuse_ino_t node, const char* name, size_t size) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId inode = fs.InodeOf(node);
  const auto ctx = fs.ContextOf(request);
  if (auto may = CheckVirtual(fs, request, inode, name, kRead); !may)
    return ReplyInodeError(request, may.error(), "getxattr", inode);
  auto value = IsVirtualXattr(name) ? GetVirtualXattr(fs, ctx, inode, name)
                                    : fs.metadata().GetXattr(ctx, inode, name);
  if (!value) return ReplyInodeError(request, value.error(), "getxattr", inode);
  ReplySized(request, *value, size);
}

void SetXattr(fuse_req_t request, fuse_ino_t node, const char* name, const char* value, size_t size,
              int flags) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId inode = fs.InodeOf(node);
  const auto ctx = fs.ContextOf(request);
  const std::string_view content(value, size);
  if (auto may = CheckVirtual(fs, request, inode, name, kWrite); !may)
    return ReplyInodeError(request, may.error(), "setxattr", inode);
  auto done = IsVirtualXattr(name) ? SetVirtualXattr(fs, ctx, inode, name, content)
                                   : fs.metadata().SetXattr(ctx, inode, name, content, flags);
  if (!done) return ReplyInodeError(request, done.error(), "setxattr", inode);
  if (name == meta::kAccessAclName) {
    FollowAccessList(fs, request, inode);
    fs.PermissionsChanged(inode);
  }
  fuse_reply_err(request, 0);
}

void ListXattrs(fuse_req_t request, fuse_ino_t node, size_t size) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId inode = fs.InodeOf(node);
  const auto ctx = fs.ContextOf(request);
  auto names = fs.metadata().ListXattrs(ctx, inode);
  if (!names) return ReplyInodeError(request, names.error(), "listxattr", inode);
  std::string list;
  for (const auto& name : *names) {
    // Only root sees that there are any of these.
    if (ctx.uid == 0 || !name.starts_with("trusted.")) list.append(name).push_back('\0');
  }
  ReplySized(request, list, size);
}

void RemoveXattr(fuse_req_t request, fuse_ino_t node, const char* name) noexcept {
  FileSystem& fs = FileSystem::Of(request);
  const InodeId inode = fs.InodeOf(node);
  const auto ctx = RemovesWithContent(fs, request, inode, name) ? fs.DataContextOf(request)
                                                                : fs.ContextOf(request);
  if (auto may = CheckVirtual(fs, request, inode, name, kWrite); !may)
    return ReplyInodeError(request, may.error(), "removexattr", inode);
  auto done = IsVirtualXattr(name) ? SetVirtualXattr(fs, ctx, inode, name, "")
                                   : fs.metadata().RemoveXattr(ctx, inode, name);
  if (!done) return ReplyInodeError(request, done.error(), "removexattr", inode);
  if (name == meta::kAccessAclName) fs.PermissionsChanged(inode);
  fuse_reply_err(request, 0);
}

}  // namespace pxfs::fs::ops
