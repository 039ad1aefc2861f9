#include "meta/content.h"
#include "meta/local_service_impl.h"

namespace pxfs::meta {

Status LocalService::CommitContent(const CallContext& ctx, InodeId inode,
                                   const ContentState& content) {
  PXFS_TRY(store_->Run([&](Transaction& tx) -> Status {
    PXFS_ASSIGN(InodeRecord * record, EditOpenFile(tx, inode, ctx.session));
    ApplyContent(*record, content);
    return {};
  }));
  Notices notices(sessions_, ctx.session);
  notices.Content(inode);
  notices.Send();
  return {};
}

}  // namespace pxfs::meta
