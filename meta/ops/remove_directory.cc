#include "meta/local_service_impl.h"
#include "meta/names.h"

namespace pxfs::meta {

Result<Removed> LocalService::RemoveDirectory(const CallContext& ctx, InodeId parent,
                                              std::string_view name) {
  PXFS_TRY(CheckName(name));
  const RequestKey request(ctx, Operation::kRemoveDirectory, parent, name);
  if (const auto done = repetitions_.Find(request)) return Removed{done->inode, done->orphaned};
  auto removed = store_->Run([&](Transaction& tx) -> Result<Removed> {
    PXFS_TRY(EnterDirectory(tx, ctx, parent));
    PXFS_ASSIGN(const Transaction::Found found, tx.FindEntry(parent, name));
    if (!found.entry) return Fail(Code::kNotFound);
    PXFS_ASSIGN(InodeRecord * directory, tx.EditInode(parent));
    PXFS_ASSIGN(InodeRecord * child, EditChild(tx, *found.entry));
    PXFS_TRY(CheckMayRemove(tx, ctx, *directory, *child));
    if (!child->attr.is_directory()) return Fail(Code::kNotDirectory);
    if (child->entries > 0) return Fail(Code::kNotEmpty);
    PXFS_TRY(DropName(tx, *directory, found, *child, store_->Now()));
    PXFS_TRY(orphans_.Admit(tx, *child));
    Repetitions::Record(tx, request, found.entry->child, true);
    return Removed{found.entry->child, true};
  });
  if (!removed) return removed;
  if (policies_.Has(removed->inode)) policies_.Publish(removed->inode, {});
  Notices notices(sessions_, ctx.session);
  notices.Entry(parent, name);
  notices.Attr(parent);
  notices.Unlinked(*removed);
  notices.Send();
  return removed;
}

}  // namespace pxfs::meta
