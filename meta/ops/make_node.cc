#include "meta/local_service_impl.h"
#include "meta/names.h"
#include "meta/new_inode.h"

namespace pxfs::meta {

Result<Attr> LocalService::MakeNode(const CallContext& ctx, InodeId parent, std::string_view name,
                                    const NewNode& node) {
  PXFS_TRY(CheckName(name));
  const RequestKey request(ctx, Operation::kMakeNode, parent, name);
  if (const auto done = repetitions_.Find(request)) return GetAttr(ctx, done->inode);
  InodeId inode;
  auto made = store_->Run([&](Transaction& tx) -> Result<Attr> {
    PXFS_ASSIGN(InodeRecord * directory, EnterForNew(tx, ctx, parent, name));
    PXFS_TRY(CheckNewNode(ctx, node));
    if (!inode) {
      PXFS_ASSIGN(inode, store_->NewInodes());
    }
    const Timestamp now = store_->Now();
    PXFS_ASSIGN(InodeRecord * child, MakeInode(tx, ctx, *directory, node, inode, now));
    if (child->attr.is_regular()) {
      PXFS_ASSIGN(Replica replica, PlaceFile(parent, inode, 0));
      child->attr.generation = replica.generation;
      child->replicas.push_back(replica);
    }
    PXFS_TRY(AddName(tx, *directory, name, *child, now));
    Repetitions::Record(tx, request, inode);
    return child->attr;
  });
  if (!made) return made;
  Notices notices(sessions_, ctx.session);
  notices.Entry(parent, name);
  notices.Attr(parent);
  notices.Send();
  return made;
}

}  // namespace pxfs::meta
