// Taking the last records of an inode away.
#pragma once

#include "meta/transaction.h"

namespace pxfs::meta {

// The inode, its xattrs, write records and policy. An inode that is gone already counts as erased.
Status EraseInodeAndAll(Transaction& tx, InodeId inode);

}  // namespace pxfs::meta
