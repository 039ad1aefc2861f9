// What a new inode starts with: owner, mode and ACLs by the rules of its directory. Part of a
// transaction.
#pragma once

#include "meta/service.h"
#include "meta/transaction.h"

namespace pxfs::meta {

// kInvalid (no type in the mode), kNotPermitted (device nodes, not by root), kNameTooLong and
// kNotFound for the target of a symlink, as symlink(2) has them.
Status CheckNewNode(const CallContext& ctx, const NewNode& node);
// The inode, not yet in any directory: nlink 0. kNotFound, kCorruption.
Result<InodeRecord*> MakeInode(Transaction& tx, const CallContext& ctx,
                               const InodeRecord& directory, const NewNode& node, InodeId inode,
                               Timestamp now);

// Stores or removes one xattr and keeps the record's count of them.
Status PutXattr(Transaction& tx, InodeRecord& inode, std::string_view name, std::string_view value);
Status EraseXattr(Transaction& tx, InodeRecord& inode, std::string_view name);

}  // namespace pxfs::meta
