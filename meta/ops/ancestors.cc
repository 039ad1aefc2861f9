#include "meta/ops/ancestors.h"

#include "meta/keys.h"

namespace pxfs::meta {

Result<bool> IsAncestor(Transaction& tx, InodeId ancestor, InodeId inode) {
  InodeId at = inode;
  for (int depth = 0; depth < kMaxDepth; ++depth) {
    if (at == ancestor) return true;
    if (at == kRootInode) return false;
    PXFS_ASSIGN(const InodePtr record, tx.GetInode(at));
    if (!record->parent || record->parent == at) return false;  // a tree without a name
    at = record->parent;
  }
  return DamagedRecord(keys::Inode(inode), "the directories above it form a loop");
}

}  // namespace pxfs::meta
