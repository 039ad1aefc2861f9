// Content and its replicas within a transaction.
#pragma once

#include "meta/service.h"
#include "meta/transaction.h"

namespace pxfs::meta {

Location LocationOf(const InodeRecord& inode);
// The replica that takes writes; null for what has none.
Replica* PrimaryOf(InodeRecord& inode);
// A number that no object of this inode has, or ever had: one that is still being reclaimed must
// not meet a new one.
uint64_t NextObjectGeneration(const InodeRecord& inode);
// Size, times and checksum as found in the primary's object, which exists therefore.
void ApplyContent(InodeRecord& inode, const ContentState& content);
// The session has the file open for writing from now on.
void RecordWriter(Transaction& tx, InodeRecord& inode, SessionId session);
// kInvalid: the session has not opened it.
Result<InodeRecord*> EditOpenFile(Transaction& tx, InodeId inode, SessionId session);
// The same in reverse.
void EraseWriter(Transaction& tx, InodeRecord& inode, SessionId session);

}  // namespace pxfs::meta
