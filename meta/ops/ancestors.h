// Walking up the tree within a transaction, so that no concurrent rename can close a loop.
#pragma once

#include "meta/transaction.h"

namespace pxfs::meta {

// More levels than any path can have: a loop in the store.
inline constexpr int kMaxDepth = 100'000;

// Whether `ancestor` is `inode` or above it. kCorruption: the walk does not end.
Result<bool> IsAncestor(Transaction& tx, InodeId ancestor, InodeId inode);

}  // namespace pxfs::meta
