#include "meta/keys.h"
#include "meta/local_service_impl.h"
#include "meta/names.h"

namespace pxfs::meta {

Result<Attr> LocalService::Lookup(const CallContext& ctx, InodeId parent, std::string_view name) {
  return store_->Read([&](Transaction& tx) -> Result<Attr> {
    PXFS_ASSIGN(const InodePtr directory, EnterDirectory(tx, ctx, parent));
    if (name == ".") return directory->attr;
    if (name == "..") {
      PXFS_ASSIGN(const InodePtr above, tx.GetInode(directory->parent));
      return above->attr;
    }
    PXFS_TRY(CheckName(name));
    PXFS_ASSIGN(const Transaction::Found found, tx.FindEntry(parent, name));
    if (!found.entry) return Fail(Code::kNotFound);
    const auto child = tx.GetInode(found.entry->child);
    if (!child && child.error().code() == Code::kNotFound)
      return DamagedRecord(keys::Inode(found.entry->child),
                           "missing, but \"" + std::string(name) + "\" refers to it");
    if (!child) return Fail(child.error());
    return (*child)->attr;
  });
}

}  // namespace pxfs::meta
