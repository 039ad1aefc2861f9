#include "meta/access.h"
#include "meta/keys.h"
#include "meta/local_service_impl.h"
#include "meta/new_inode.h"
#include "meta/ops/xattr_rules.h"

namespace pxfs::meta {

Status LocalService::RemoveXattr(const CallContext& ctx, InodeId inode, std::string_view name) {
  PXFS_TRY(CheckXattrName(name));
  const RequestKey request(ctx, Operation::kRemoveXattr, inode, name);
  if (repetitions_.Find(request)) return {};
  PXFS_TRY(store_->Run([&](Transaction& tx) -> Status {
    PXFS_ASSIGN(InodeRecord * record, tx.EditInode(inode));
    PXFS_TRY(CheckNotFixed(*record));
    PXFS_TRY(CheckXattrWrite(tx, ctx, *record, name));
    PXFS_ASSIGN(const auto old, tx.Get(keys::Xattr(inode, name)));
    // Who takes away an ACL that is not there has what they want, as on other file systems.
    if (!old && (name == kAccessAclName || name == kDefaultAclName)) return {};
    if (!old) return Fail(Code::kNoData);
    if (name == kAccessAclName) record->access_acl = false;
    if (name == kDefaultAclName) record->default_acl = false;
    record->attr.ctime = store_->Now();
    Repetitions::Record(tx, request);
    return EraseXattr(tx, *record, name);
  }));
  Notices notices(sessions_, ctx.session);
  notices.Attr(inode);
  notices.Send();
  return {};
}

}  // namespace pxfs::meta
