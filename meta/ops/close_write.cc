#include "meta/content.h"
#include "meta/local_service_impl.h"

namespace pxfs::meta {

Status LocalService::CloseWrite(const CallContext& ctx, InodeId inode,
                                const ContentState& content) {
  const RequestKey request(ctx, Operation::kCloseWrite, inode);
  if (repetitions_.Find(request)) return {};
  bool removed = false;
  PXFS_TRY(store_->Run([&](Transaction& tx) -> Status {
    PXFS_ASSIGN(InodeRecord * record, EditOpenFile(tx, inode, ctx.session));
    ApplyContent(*record, content);
    EraseWriter(tx, *record, ctx.session);
    PXFS_TRY(DropCopies(tx, *record));
    if (record->writers == 0) PXFS_TRY(WantCopies(tx, *record));
    Repetitions::Record(tx, request);
    removed = record->removed();
    if (removed) return orphans_.Release(tx, inode, ctx.session, /*closed_only=*/true);
    return {};
  }));
  if (removed) reclaim_.Announce();
  Notices notices(sessions_, ctx.session);
  notices.Content(inode);
  notices.Attr(inode);
  notices.Send();
  return {};
}

}  // namespace pxfs::meta
