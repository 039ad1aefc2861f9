#include "meta/local_service_impl.h"

namespace pxfs::meta {

Result<std::string> LocalService::ReadLink(const CallContext&, InodeId inode) {
  PXFS_ASSIGN(const InodePtr record, store_->GetInode(inode));
  if (!record->attr.is_symlink()) return Fail(Code::kInvalid);
  return record->symlink_target;
}

}  // namespace pxfs::meta
