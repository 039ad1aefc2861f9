#include "meta/access.h"
#include "meta/local_service_impl.h"
#include "meta/names.h"

namespace pxfs::meta {

Result<Attr> LocalService::Link(const CallContext& ctx, InodeId inode, InodeId parent,
                                std::string_view name) {
  PXFS_TRY(CheckName(name));
  const RequestKey request(ctx, Operation::kLink, parent, name);
  if (const auto done = repetitions_.Find(request)) return GetAttr(ctx, done->inode);
  auto linked = store_->Run([&](Transaction& tx) -> Result<Attr> {
    PXFS_ASSIGN(InodeRecord * directory, EnterForNew(tx, ctx, parent, name));
    PXFS_ASSIGN(InodeRecord * child, tx.EditInode(inode));
    if (child->attr.is_directory()) return Fail(Code::kNotPermitted);
    PXFS_TRY(CheckNotFixed(*child));
    if (child->attr.nlink >= kMaxLinks) return Fail(Code::kTooManyLinks);
    if (child->removed()) PXFS_TRY(orphans_.Adopt(tx, inode));
    const Timestamp now = store_->Now();
    PXFS_TRY(AddName(tx, *directory, name, *child, now));
    child->attr.ctime = now;
    Repetitions::Record(tx, request, inode);
    return child->attr;
  });
  if (!linked) return linked;
  Notices notices(sessions_, ctx.session);
  notices.Entry(parent, name);
  notices.Attr(parent);
  notices.Attr(inode);
  notices.Send();
  return linked;
}

}  // namespace pxfs::meta
