#include "meta/keys.h"
#include "meta/local_service_impl.h"
#include "meta/ops/xattr_rules.h"

namespace pxfs::meta {

Result<std::string> LocalService::GetXattr(const CallContext& ctx, InodeId inode,
                                           std::string_view name) {
  PXFS_TRY(CheckXattrName(name));
  return store_->Read([&](Transaction& tx) -> Result<std::string> {
    PXFS_ASSIGN(const InodePtr record, tx.GetInode(inode));
    PXFS_TRY(CheckXattrRead(tx, ctx, *record, name));
    // The kernel asks every file for security.capability: most have no xattr at all.
    if (record->xattrs == 0) return Fail(Code::kNoData);
    PXFS_ASSIGN(auto value, tx.Get(keys::Xattr(inode, name)));
    if (!value) return Fail(Code::kNoData);
    return std::move(*value);
  });
}

}  // namespace pxfs::meta
