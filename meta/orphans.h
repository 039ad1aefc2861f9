// Inodes without a name that somebody may still use: who holds each, and what happens when nobody
// does.
//
// 1. An inode whose nlink is 0 has an orphan record with at least one holder, or a reclaim item, or
// is gone; except
//    below a detached directory that is being discarded.
// 2. The holders are the sessions that cache, and those that have the file open for writing. A
// caching session lets go
//    by Forget, any other by CloseWrite; every session by ending.
// Thread-safe; all but Announce are parts of transactions.
#pragma once

#include "meta/reclaim_queue.h"
#include "meta/sessions.h"
#include "meta/transaction.h"

namespace pxfs::meta {

class Orphanage {
 public:
  Orphanage(SessionTable& sessions, ReclaimQueue& reclaim)
      : sessions_(sessions), reclaim_(reclaim) {}

  // `inode`, an edited record, has just lost its last name.
  Status Admit(Transaction& tx, InodeRecord& inode);
  // A file that never had a name; `session` holds it.
  Status AdmitNameless(Transaction& tx, InodeId inode, SessionId session);
  // kNotFound unless the orphan may be given a name; then it is an orphan no longer.
  Status Adopt(Transaction& tx, InodeId inode);
  // `session` opened the orphan for writing, and holds it until it closes it, unless it holds it
  // anyway.
  Status HoldUntilClosed(Transaction& tx, InodeId inode, SessionId session);
  // `session` lets go. Nothing happens if it holds nothing.
  Status Release(Transaction& tx, InodeId inode, SessionId session, bool closed_only);
  // Nothing holds the inode: its objects go to the reclaim queue, or itself at once if it has none.
  Status Finish(Transaction& tx, InodeId inode);

 private:
  SessionTable& sessions_;
  ReclaimQueue& reclaim_;
};

}  // namespace pxfs::meta
