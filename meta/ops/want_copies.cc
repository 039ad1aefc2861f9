#include "meta/copy_queue.h"
#include "meta/keys.h"
#include "meta/local_service_impl.h"

namespace pxfs::meta {
namespace {

void Put(Transaction& tx, const CopyItem& item) { tx.Put(keys::Record(KeyOf(item)), ""); }

}  // namespace

Status LocalService::WantCopies(Transaction& tx, const InodeRecord& file, InodeId above) {
  if (file.removed() || !file.attr.is_regular()) return {};
  bool wanted = file.replicas.size() > 1 || !file.wishes.empty();
  if (!wanted && !policies_.empty() && file.parent) {
    auto policy = policies_.View(file.parent);
    if (!policy && policy.error() == Code::kNotFound && above) policy = policies_.View(above);
    if (!policy) return Fail(policy.error());
    wanted = policy->effective.copies.value_or(1) > 1;
  }
  if (wanted) Put(tx, {CopyReason::kContent, file.attr.inode, file.attr.generation});
  return {};
}

Status LocalService::LookAtCopies(Transaction& tx, InodeId inode) {
  PXFS_ASSIGN(const uint64_t number, store_->NewTicket());
  Put(tx, {CopyReason::kPlace, inode, number});
  return {};
}

}  // namespace pxfs::meta
