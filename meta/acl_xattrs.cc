#include "meta/acl_xattrs.h"

#include "meta/access.h"
#include "meta/new_inode.h"

namespace pxfs::meta {
namespace {

// A list that says no more than the mode bits is not kept; an empty one removes what there is.
Status SetAccessAcl(Transaction& tx, const CallContext& ctx, InodeRecord& inode, const Acl& acl) {
  bool keep = !acl.empty();
  if (keep) {
    keep = !AclToMode(acl, &inode.attr.mode);
    if (!IsSuperuser(ctx) && !SubjectOf(ctx).InGroup(inode.attr.gid))
      inode.attr.mode &= ~uint32_t{S_ISGID};
  }
  inode.access_acl = keep;
  if (keep) return PutXattr(tx, inode, kAccessAclName, SerializeAcl(acl));
  return EraseXattr(tx, inode, kAccessAclName);
}

Status SetDefaultAcl(Transaction& tx, InodeRecord& inode, const Acl& acl) {
  if (!inode.attr.is_directory()) {
    if (!acl.empty()) return Fail(Code::kAccess);
    return {};
  }
  inode.default_acl = !acl.empty();
  if (inode.default_acl) return PutXattr(tx, inode, kDefaultAclName, SerializeAcl(acl));
  return EraseXattr(tx, inode, kDefaultAclName);
}

}  // namespace

Status SetAcl(Transaction& tx, const CallContext& ctx, InodeRecord& inode, std::string_view name,
              const Acl& acl) {
  if (name == kAccessAclName) return SetAccessAcl(tx, ctx, inode, acl);
  return SetDefaultAcl(tx, inode, acl);
}

}  // namespace pxfs::meta
