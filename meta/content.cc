#include "meta/content.h"

#include <algorithm>

#include "meta/keys.h"

namespace pxfs::meta {

Location LocationOf(const InodeRecord& inode) {
  Location location{inode.attr, inode.replicas, inode.wishes, false};
  std::stable_partition(location.replicas.begin(), location.replicas.end(),
                        [](const Replica& replica) { return replica.primary; });
  return location;
}

Replica* PrimaryOf(InodeRecord& inode) {
  const auto it = std::find_if(inode.replicas.begin(), inode.replicas.end(),
                               [](const Replica& replica) { return replica.primary; });
  return it == inode.replicas.end() ? nullptr : &*it;
}

uint64_t NextObjectGeneration(const InodeRecord& inode) {
  uint64_t last = std::max(inode.last_object, inode.attr.generation);
  for (const Replica& replica : inode.replicas) last = std::max(last, replica.object_generation);
  return last + 1;
}

void ApplyContent(InodeRecord& inode, const ContentState& content) {
  Attr& attr = inode.attr;
  attr.size_bytes = content.size_bytes;
  attr.blocks = content.blocks;
  attr.atime = content.atime;
  attr.mtime = content.mtime;
  // A change of attributes while the file was open may be later than the object's.
  attr.ctime = std::max(attr.ctime, content.ctime);
  if (Replica* primary = PrimaryOf(inode)) {
    primary->materialized = true;
    primary->checksum = content.checksum;
    primary->verified_seconds = 0;
  }
}

void RecordWriter(Transaction& tx, InodeRecord& inode, SessionId session) {
  tx.Put(keys::OpenForWrite(inode.attr.inode, session), "");
  inode.SetWriters(inode.writers + 1);
}

Result<InodeRecord*> EditOpenFile(Transaction& tx, InodeId inode, SessionId session) {
  PXFS_ASSIGN(const auto open, tx.Get(keys::OpenForWrite(inode, session)));
  if (!open)
    return Fail(Code::kInvalid, "inode " + std::to_string(inode.value) +
                                    " is not open for writing in session " +
                                    std::to_string(session.value));
  return tx.EditInode(inode);
}

void EraseWriter(Transaction& tx, InodeRecord& inode, SessionId session) {
  tx.Erase(keys::OpenForWrite(inode.attr.inode, session));
  if (inode.writers > 0) inode.SetWriters(inode.writers - 1);
}

}  // namespace pxfs::meta
