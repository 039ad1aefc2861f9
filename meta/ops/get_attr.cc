#include "meta/local_service_impl.h"

namespace pxfs::meta {

// Needs no permission, as stat(2) of what is open already.
Result<Attr> LocalService::GetAttr(const CallContext&, InodeId inode) {
  PXFS_ASSIGN(const InodePtr record, store_->GetInode(inode));
  return record->attr;
}

}  // namespace pxfs::meta
