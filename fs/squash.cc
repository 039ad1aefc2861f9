// root_squash: root's rights on this mount are those of the anonymous user. Linux lets root pass
// its checks (default_permissions), so here is what checks root, and keeps the kernel from
// answering root's questions from its caches.
//
// As an NFS server does it, permissions are checked where a name is looked up (search), a file is
// opened (read, write), a directory is listed or changed, and attributes are set. Names that are
// cached would be found without being looked up; so the kernel may keep those only that the
// anonymous user could look up, too.
#include "base/logging.h"
#include "fs/file_system.h"
#include "meta/posix_acl.h"

namespace pxfs::fs {
namespace {

constexpr uint32_t kSearch = 1;

}  // namespace

bool FileSystem::IsSquashed(fuse_req_t request) const {
  return options_.squash && fuse_req_ctx(request)->uid == 0;
}

meta::CallContext FileSystem::DataContextOf(fuse_req_t request) const {
  const fuse_ctx* caller = fuse_req_ctx(request);
  meta::CallContext ctx;
  ctx.session = session_;
  ctx.request = Transport::CurrentRequest();
  ctx.uid = caller->uid;
  ctx.gid = caller->gid;
  if (IsSquashed(request)) {
    ctx.uid = options_.squash->uid;
    ctx.gid = options_.squash->gid;
  }
  return ctx;
}

meta::CallContext FileSystem::ContextOf(fuse_req_t request) const {
  meta::CallContext ctx = DataContextOf(request);
  ctx.check_access = IsSquashed(request);
  return ctx;
}

Caller FileSystem::CallerOf(fuse_req_t request) const {
  if (!IsSquashed(request)) return Caller::Find(*fuse_req_ctx(request));
  Caller nobody;
  nobody.groups.push_back(options_.squash->gid);
  return nobody;
}

namespace {

// Whether the inode's bits, or its access list, grant `wanted` to the anonymous user.
Result<bool> Grants(meta::MetadataService& metadata, SessionId session, const Anonymous& anonymous,
                    InodeId inode, uint32_t wanted) {
  const meta::CallContext ctx{.session = session};
  PXFS_ASSIGN(const meta::Attr attr, metadata.GetAttr(ctx, inode));
  const std::vector<uint32_t> no_further_groups;
  const meta::AclSubject subject{anonymous.uid, anonymous.gid, &no_further_groups};
  const auto list = metadata.GetXattr(ctx, inode, meta::kAccessAclName);
  if (list) {
    PXFS_ASSIGN(const meta::Acl acl, meta::ParseAcl(*list));
    return meta::AclGrants(acl, attr.uid, attr.gid, subject, wanted);
  }
  // A symlink has none, and needs none.
  if (list.error() != Code::kNoData && list.error() != Code::kNotSupported)
    return Fail(list.error());
  return meta::BitsGrant(attr.mode, attr.uid, attr.gid, subject, wanted);
}

}  // namespace

Status FileSystem::CheckAccess(fuse_req_t request, InodeId inode, uint32_t wanted) {
  if (!IsSquashed(request)) return {};
  PXFS_ASSIGN(const bool granted, Grants(metadata_, session_, *options_.squash, inode, wanted));
  return granted ? Status() : Fail(Code::kAccess);
}

bool FileSystem::MayBeKept(InodeId directory) {
  if (!options_.squash) return true;
  // What was right once must be to be taken back.
  std::call_once(asked_for_expiry_, [this] {
    names_can_expire_ = static_cast<bool>(transport_.ExpireAllNames());
    if (!names_can_expire_)
      log::warn(
          "root_squash: names are looked up every time, since this kernel cannot be made to "
          "drop those that it caches (Linux 6.16 and later can)");
  });
  const auto searches = Grants(metadata_, session_, *options_.squash, directory, kSearch);
  return names_can_expire_ && searches && *searches;
}

double FileSystem::EntryTimeout(InodeId directory) {
  return MayBeKept(directory) ? options_.entry_timeout_seconds : 0;
}

double FileSystem::NegativeTimeout(InodeId directory) {
  return MayBeKept(directory) ? options_.negative_timeout_seconds : 0;
}

void FileSystem::PermissionsChanged(InodeId inode) {
  if (!options_.squash) return;
  const auto attr = metadata_.GetAttr({.session = session_}, inode);
  if (!attr || !attr->is_directory() || MayBeKept(inode)) return;
  if (auto expired = transport_.ExpireAllNames();
      !expired && expired.error() != Code::kNotSupported)
    log::error("root_squash: names that root may not look up any more: {}",
               expired.error().message());
}

}  // namespace pxfs::fs
