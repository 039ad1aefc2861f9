#include <set>

#include "meta/content.h"
#include "meta/keys.h"
#include "meta/local_service_impl.h"

namespace pxfs::meta {
namespace {

// The keys of a family in which `session` is the n-th number.
Result<std::vector<std::string>> KeysOf(KvEngine& engine, keys::Family family, size_t n,
                                        SessionId session) {
  std::vector<std::string> found;
  const std::string begin = keys::Make(family);
  PXFS_TRY(engine.Scan(begin, keys::EndOf(begin), [&](std::string_view key, std::string_view) {
    uint64_t number = 0;
    if (keys::ReadNumber(key, n, &number) && number == session.value) found.emplace_back(key);
    return true;
  }));
  return found;
}

InodeId NumberIn(const std::string& key, size_t n) {
  uint64_t number = 0;
  keys::ReadNumber(key, n, &number);
  return InodeId(number);
}

// What the dead session wrote is learned from the object, on behalf of session 0.
Status LeaveToRecovery(Transaction& tx, InodeId inode, SessionId session) {
  PXFS_ASSIGN(const auto open, tx.Get(keys::OpenForWrite(inode, session)));
  if (!open) return {};
  auto record = tx.EditInode(inode);
  if (!record) {
    if (record.error().code() != Code::kNotFound) return Fail(record.error());
    tx.Erase(keys::OpenForWrite(inode, session));
    return {};
  }
  EraseWriter(tx, **record, session);
  if ((*record)->removed()) return {};  // nobody will read it
  PXFS_ASSIGN(const auto others, tx.Get(keys::OpenForWrite(inode, SessionId())));
  if (!others) RecordWriter(tx, **record, SessionId());
  return {};
}

}  // namespace

Status LocalService::CloseSession(SessionId session) {
  PXFS_TRY(sessions_.Require(session));
  return EndSession(session);
}

Status LocalService::EndSession(SessionId session) {
  sessions_.Remove(session);
  // Whoever counted it among the holders of an orphan meanwhile must count again.
  PXFS_TRY(store_->Run([&](Transaction& tx) -> Status {
    tx.Put(SessionTable::Key(), EncodeNumber(session.value));
    return {};
  }));
  KvEngine& engine = store_->engine();
  PXFS_ASSIGN(const auto open, KeysOf(engine, keys::Family::kOpenForWrite, 1, session));
  for (const std::string& key : open)
    PXFS_TRY(store_->Run(
        [&](Transaction& tx) { return LeaveToRecovery(tx, NumberIn(key, 0), session); }));

  std::vector<InodeId> orphans;
  const std::string begin = keys::Make(keys::Family::kOrphan);
  PXFS_TRY(engine.Scan(begin, keys::EndOf(begin), [&](std::string_view key, std::string_view) {
    orphans.push_back(NumberIn(std::string(key), 0));
    return true;
  }));
  PXFS_TRY(Forget(session, orphans));

  PXFS_ASSIGN(const auto reserved, KeysOf(engine, keys::Family::kReservation, 0, session));
  for (const std::string& key : reserved) PXFS_TRY(DiscardOne(session, NumberIn(key, 1)));
  PXFS_TRY(repetitions_.Erase(session));
  return store_->Run([&](Transaction& tx) -> Status {
    tx.Erase(keys::Session(session));
    return {};
  });
}

Status LocalService::EndStraySessions() {
  std::set<SessionId> named;
  const auto collect = [&](keys::Family family, size_t n) {
    const std::string begin = keys::Make(family);
    return store_->engine().Scan(begin, keys::EndOf(begin),
                                 [&](std::string_view key, std::string_view) {
                                   uint64_t session = 0;
                                   if (keys::ReadNumber(key, n, &session) && session != 0)
                                     named.insert(SessionId(session));
                                   return true;
                                 });
  };
  PXFS_TRY(collect(keys::Family::kOpenForWrite, 1));
  PXFS_TRY(collect(keys::Family::kReservation, 0));
  const std::string begin = keys::Make(keys::Family::kOrphan);
  Status status;
  PXFS_TRY(store_->engine().Scan(begin, keys::EndOf(begin),
                                 [&](std::string_view key, std::string_view value) {
                                   const auto orphan = Decode<OrphanRecord>(key, value);
                                   if (!orphan) {
                                     status = Fail(orphan.error());
                                     return false;
                                   }
                                   for (const OrphanRecord::Holder& holder : orphan->holders)
                                     named.insert(holder.session);
                                   return true;
                                 }));
  PXFS_TRY(status);
  for (const SessionId session : named)
    if (!sessions_.Require(session)) PXFS_TRY(EndSession(session));
  return {};
}

}  // namespace pxfs::meta
