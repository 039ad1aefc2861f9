#include "meta/keys.h"
#include "meta/local_service_impl.h"
#include "meta/ops/xattr_rules.h"

namespace pxfs::meta {

Result<std::vector<std::string>> LocalService::ListXattrs(const CallContext& ctx, InodeId inode) {
  return store_->Read([&](Transaction& tx) -> Result<std::vector<std::string>> {
    std::vector<std::string> names;
    PXFS_ASSIGN(const InodePtr record, tx.GetInode(inode));
    if (record->xattrs == 0) return names;
    const std::string begin = keys::Xattr(inode, "");
    PXFS_TRY(store_->engine().Scan(begin, keys::EndOf(begin),
                                   [&](std::string_view key, std::string_view) {
                                     const std::string_view name = key.substr(begin.size());
                                     if (IsXattrListed(ctx, name)) names.emplace_back(name);
                                     return true;
                                   }));
    return names;
  });
}

}  // namespace pxfs::meta
