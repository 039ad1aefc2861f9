#include "meta/ops/xattr_rules.h"

namespace pxfs::meta {
namespace {

constexpr std::string_view kUser = "user.", kTrusted = "trusted.", kSecurity = "security.";

bool HoldsUserXattrs(const Attr& attr) { return attr.is_regular() || attr.is_directory(); }

}  // namespace

Status CheckXattrName(std::string_view name) {
  if (name.empty() || name.size() > kMaxXattrNameBytes) return Fail(Code::kRange);
  if (name.find('\0') != name.npos) return Fail(Code::kInvalid);
  if (IsAclName(name)) return {};
  for (const std::string_view prefix : {kUser, kTrusted, kSecurity}) {
    if (!name.starts_with(prefix)) continue;
    if (name.size() == prefix.size()) return Fail(Code::kInvalid);
    return {};
  }
  return Fail(Code::kNotSupported);
}

Status CheckXattrRead(Transaction& tx, const CallContext& ctx, const InodeRecord& inode,
                      std::string_view name) {
  if (name.starts_with(kTrusted) && !IsSuperuser(ctx)) return Fail(Code::kNoData);
  if (!name.starts_with(kUser)) return {};
  if (!HoldsUserXattrs(inode.attr)) return Fail(Code::kNoData);
  return CheckAccess(tx, ctx, inode, kMayRead);
}

Status CheckXattrWrite(Transaction& tx, const CallContext& ctx, const InodeRecord& inode,
                       std::string_view name) {
  if (IsAclName(name)) {
    if (inode.attr.is_symlink()) return Fail(Code::kNotSupported);
    if (!Owns(ctx, inode.attr)) return Fail(Code::kNotPermitted);
    return {};
  }
  if (!name.starts_with(kUser)) {
    if (!IsSuperuser(ctx)) return Fail(Code::kNotPermitted);
    return {};
  }
  if (!HoldsUserXattrs(inode.attr)) return Fail(Code::kNotPermitted);
  // In a sticky directory everyone may write, but its attributes are the owner's.
  if (inode.attr.is_directory() && (inode.attr.mode & S_ISVTX) && !Owns(ctx, inode.attr))
    return Fail(Code::kNotPermitted);
  return CheckAccess(tx, ctx, inode, kMayWrite);
}

bool IsXattrListed(const CallContext& ctx, std::string_view name) {
  return !name.starts_with(kTrusted) || IsSuperuser(ctx);
}

}  // namespace pxfs::meta
