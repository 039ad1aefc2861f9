#include "meta/orphans.h"

#include <algorithm>
#include <limits>

#include "meta/erase.h"
#include "meta/keys.h"

namespace pxfs::meta {

Status Orphanage::Admit(Transaction& tx, InodeRecord& inode) {
  tx.Note(SessionTable::Key());
  OrphanRecord orphan;
  for (const SessionId session : sessions_.Caching()) orphan.holders.push_back({session, false});
  const InodeId id = inode.attr.inode;
  if (inode.writers > 0) {
    const std::string begin = keys::Make(keys::Family::kOpenForWrite, id.value);
    PXFS_ASSIGN(const std::vector<KvWrite> open,
                tx.Scan(begin, keys::EndOf(begin), std::numeric_limits<size_t>::max()));
    for (const KvWrite& record : open) {
      uint64_t session = 0;
      if (!keys::ReadNumber(record.key, 1, &session))
        return DamagedRecord(record.key, "no session");
      const bool known = std::any_of(orphan.holders.begin(), orphan.holders.end(),
                                     [&](const auto& h) { return h.session.value == session; });
      if (session != 0 && !known) orphan.holders.push_back({SessionId(session), true});
    }
  }
  if (orphan.holders.empty()) return Finish(tx, id);
  tx.Put(keys::Orphan(id), Encode(orphan));
  return {};
}

Status Orphanage::AdmitNameless(Transaction& tx, InodeId inode, SessionId session) {
  OrphanRecord orphan;
  orphan.holders.push_back({session, false});
  orphan.linkable = true;
  tx.Put(keys::Orphan(inode), Encode(orphan));
  return {};
}

Status Orphanage::Adopt(Transaction& tx, InodeId inode) {
  const std::string key = keys::Orphan(inode);
  PXFS_ASSIGN(const auto orphan, tx.GetRecord<OrphanRecord>(key));
  if (!orphan || !orphan->linkable) return Fail(Code::kNotFound);
  tx.Erase(key);
  return {};
}

Status Orphanage::HoldUntilClosed(Transaction& tx, InodeId inode, SessionId session) {
  const std::string key = keys::Orphan(inode);
  PXFS_ASSIGN(auto orphan, tx.GetRecord<OrphanRecord>(key));
  if (!orphan) return Fail(Code::kNotFound);  // nobody holds it: it is being reclaimed
  for (const OrphanRecord::Holder& holder : orphan->holders)
    if (holder.session == session) return {};
  orphan->holders.push_back({session, true});
  tx.Put(key, Encode(*orphan));
  return {};
}

Status Orphanage::Release(Transaction& tx, InodeId inode, SessionId session, bool closed_only) {
  const std::string key = keys::Orphan(inode);
  PXFS_ASSIGN(auto orphan, tx.GetRecord<OrphanRecord>(key));
  if (!orphan) return {};
  const size_t held = std::erase_if(orphan->holders, [&](const OrphanRecord::Holder& holder) {
    return holder.session == session && (holder.until_closed || !closed_only);
  });
  if (held == 0) return {};
  if (!orphan->holders.empty()) {
    tx.Put(key, Encode(*orphan));
    return {};
  }
  tx.Erase(key);
  return Finish(tx, inode);
}

Status Orphanage::Finish(Transaction& tx, InodeId inode) {
  PXFS_ASSIGN(const InodePtr record, tx.GetInode(inode));
  if (record->replicas.empty()) return EraseInodeAndAll(tx, inode);
  return reclaim_.Add(tx, {inode, record->replicas, true});
}

}  // namespace pxfs::meta
