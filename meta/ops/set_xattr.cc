#include <sys/xattr.h>

#include "meta/access.h"
#include "meta/acl_xattrs.h"
#include "meta/keys.h"
#include "meta/local_service_impl.h"
#include "meta/new_inode.h"
#include "meta/ops/xattr_rules.h"

namespace pxfs::meta {
Status LocalService::SetXattr(const CallContext& ctx, InodeId inode, std::string_view name,
                              std::string_view value, int flags) {
  PXFS_TRY(CheckXattrName(name));
  if (value.size() > kMaxXattrValueBytes) return Fail(Code::kTooBig);
  if (flags & ~(XATTR_CREATE | XATTR_REPLACE)) return Fail(Code::kInvalid);
  Acl acl;
  if (IsAclName(name)) {
    PXFS_ASSIGN(acl, ParseAcl(value));
  }
  const RequestKey request(ctx, Operation::kSetXattr, inode, name);
  if (repetitions_.Find(request)) return {};
  PXFS_TRY(store_->Run([&](Transaction& tx) -> Status {
    PXFS_ASSIGN(InodeRecord * record, tx.EditInode(inode));
    PXFS_TRY(CheckNotFixed(*record));
    PXFS_TRY(CheckXattrWrite(tx, ctx, *record, name));
    PXFS_ASSIGN(const auto old, tx.Get(keys::Xattr(inode, name)));
    if ((flags & XATTR_CREATE) && old) return Fail(Code::kExists);
    if ((flags & XATTR_REPLACE) && !old) return Fail(Code::kNoData);
    PXFS_TRY(tx.RoomToGrow());
    record->attr.ctime = store_->Now();
    Repetitions::Record(tx, request);
    if (IsAclName(name)) return SetAcl(tx, ctx, *record, name, acl);
    return PutXattr(tx, *record, name, value);
  }));
  Notices notices(sessions_, ctx.session);
  notices.Attr(inode);
  notices.Send();
  return {};
}

}  // namespace pxfs::meta
