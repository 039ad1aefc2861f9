#include "meta/keys.h"
#include "meta/local_service_impl.h"
#include "meta/names.h"
#include "meta/placement.h"

namespace pxfs::meta {

Result<PolicyView> LocalService::GetPolicy(InodeId inode) {
  PXFS_TRY(store_->GetInode(inode));
  return policies_.View(inode);
}

Status LocalService::SetPolicy(const CallContext& ctx, InodeId directory, const Policy& policy) {
  PXFS_TRY(CheckPolicy(policy, *volumes_.Current()));
  PXFS_TRY(store_->Run([&](Transaction& tx) -> Status {
    PXFS_ASSIGN(const InodePtr record, GetDirectory(tx, directory));
    if (!Owns(ctx, record->attr)) return Fail(Code::kNotPermitted);
    // A change of the directory, so that it cannot be removed meanwhile.
    PXFS_ASSIGN(InodeRecord * edited, tx.EditInode(directory));
    edited->attr.ctime = store_->Now();
    if (policy.empty())
      tx.Erase(keys::Policy(directory));
    else
      tx.Put(keys::Policy(directory), Encode(policy));
    return LookAtCopies(tx, directory);
  }));
  policies_.Publish(directory, policy);
  // Once more: the one above may have been taken by somebody to whom the old policy still held.
  PXFS_TRY(store_->Run([&](Transaction& tx) { return LookAtCopies(tx, directory); }));
  Notices notices(sessions_, ctx.session);
  notices.Attr(directory);
  notices.Send();
  return {};
}

}  // namespace pxfs::meta
