#include "meta/keys.h"
#include "meta/local_service_impl.h"
#include "meta/ops/ancestors.h"

namespace pxfs::meta {

Result<std::string> LocalService::PathOf(InodeId inode) {
  return store_->Read([&](Transaction& tx) -> Result<std::string> {
    std::string path;
    InodeId at = inode;
    for (int depth = 0; at != kRootInode; ++depth) {
      PXFS_ASSIGN(const InodePtr record, tx.GetInode(at));
      if (record->removed() || record->name.empty())
        return Fail(Code::kNoData, "inode " + std::to_string(inode.value) + " has no name");
      if (depth >= kMaxDepth)
        return DamagedRecord(keys::Inode(inode), "the directories above it form a loop");
      path.insert(0, "/" + record->name);
      at = record->parent;
    }
    return path.empty() ? std::string("/") : path;
  });
}

}  // namespace pxfs::meta
