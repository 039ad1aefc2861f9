// Names and links within a transaction: what every operation on names does alike. All are parts of
// a transaction.
//
// 1. Adding or taking an entry changes the directory's counts, mtime and ctime; the link count of a
// directory is two
//    and one for each directory in it.
// 2. An inode record names one link. When there are several, each has a link record too
// (keys::Link), so that another
//    can take its place.
#pragma once

#include <string_view>

#include "meta/access.h"
#include "meta/transaction.h"

namespace pxfs::meta {

// For names that are to be made or removed. kNameTooLong; kNotFound for ""; kInvalid for ".", "..",
// '/' and NUL.
Status CheckName(std::string_view name);

// A directory that has not been removed. kNotFound, kNotDirectory.
Result<InodePtr> GetDirectory(Transaction& tx, InodeId directory);
// The same, and the caller may search it.
Result<InodePtr> EnterDirectory(Transaction& tx, const CallContext& ctx, InodeId directory);
// The same, for a name that is to be made there: it is free, and the caller may write. kExists,
// kAccess.
Result<InodeRecord*> EnterForNew(Transaction& tx, const CallContext& ctx, InodeId directory,
                                 std::string_view name);
// The inode that an entry refers to; one that is missing is kCorruption.
Result<InodeRecord*> EditChild(Transaction& tx, const EntryRecord& entry);

// Gives `child` the name; its link count grows unless it is a directory. New children have nlink 0.
Status AddName(Transaction& tx, InodeRecord& directory, std::string_view name, InodeRecord& child,
               Timestamp now);
// Takes the name of `child` away. Its link count falls, a directory's to 0.
Status DropName(Transaction& tx, InodeRecord& directory, const Transaction::Found& found,
                InodeRecord& child, Timestamp now);
// What `found` named is now `child`, which had its name `old_slot` in `old_directory`. Counts of
// the directories and entries are the caller's.
Status MoveLink(Transaction& tx, InodeRecord& child, InodeId old_directory,
                std::string_view old_name, uint64_t old_slot, InodeId new_directory,
                std::string_view new_name, uint64_t new_slot);

// An entry of `directory` came or went.
inline void Touch(InodeRecord& inode, Timestamp now) { inode.attr.mtime = inode.attr.ctime = now; }

}  // namespace pxfs::meta
