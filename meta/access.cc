#include "meta/access.h"

#include "meta/keys.h"

namespace pxfs::meta {

AclSubject SubjectOf(const CallContext& ctx) { return {ctx.uid, ctx.gid, &ctx.groups}; }

bool IsSuperuser(const CallContext& ctx) { return !ctx.check_access || ctx.uid == 0; }

bool Owns(const CallContext& ctx, const Attr& attr) {
  return IsSuperuser(ctx) || ctx.uid == attr.uid;
}

Status CheckNotImmutable(const InodeRecord& inode) {
  return (inode.attr.flags & kImmutable) ? Status(Fail(Code::kNotPermitted)) : Status();
}

Status CheckNotFixed(const InodeRecord& inode) {
  return (inode.attr.flags & kKeptFlags) ? Status(Fail(Code::kNotPermitted)) : Status();
}

Status CheckAccess(Transaction& tx, const CallContext& ctx, const InodeRecord& inode,
                   uint32_t wanted) {
  const Attr& attr = inode.attr;
  if (!ctx.check_access) return {};
  if (ctx.uid == 0) {
    // Everything, except to execute what nobody may execute.
    if ((wanted & kMayExecute) && !attr.is_directory() && (attr.mode & 0111) == 0)
      return Fail(Code::kAccess);
    return {};
  }
  const AclSubject subject = SubjectOf(ctx);
  bool granted;
  if (inode.access_acl && ctx.uid != attr.uid) {
    const std::string key = keys::Xattr(attr.inode, kAccessAclName);
    PXFS_ASSIGN(std::optional<std::string> value, tx.Get(key));
    PXFS_ASSIGN(const Acl acl, ParseAcl(value.value_or("")));
    granted = AclGrants(acl, attr.uid, attr.gid, subject, wanted);
  } else {
    granted = BitsGrant(attr.mode, attr.uid, attr.gid, subject, wanted);
  }
  if (!granted) return Fail(Code::kAccess);
  return {};
}

Status CheckMayRemove(Transaction& tx, const CallContext& ctx, const InodeRecord& directory,
                      const InodeRecord& victim) {
  PXFS_TRY(CheckAccess(tx, ctx, directory, kMayWrite | kMayExecute));
  PXFS_TRY(CheckNotFixed(directory));
  PXFS_TRY(CheckNotFixed(victim));
  const bool sticky = directory.attr.mode & S_ISVTX;
  if (sticky && !Owns(ctx, victim.attr) && !Owns(ctx, directory.attr))
    return Fail(Code::kNotPermitted);
  return {};
}

}  // namespace pxfs::meta
