#include "meta/erase.h"
#include "meta/keys.h"
#include "meta/local_service_impl.h"
#include "meta/names.h"
#include "meta/new_inode.h"

namespace pxfs::meta {
namespace {

constexpr size_t kChunk = 256;  // entries that one transaction takes away

// Children of `directory`, some of them: inode numbers are enough.
Result<std::vector<EntryRecord>> SomeEntries(KvEngine& engine, InodeId directory) {
  std::vector<EntryRecord> entries;
  const std::string begin = keys::Make(keys::Family::kEntry, directory.value);
  Status status;
  PXFS_TRY(
      engine.Scan(begin, keys::EndOf(begin), [&](std::string_view key, std::string_view value) {
        auto entry = Decode<EntryRecord>(key, value);
        if (!entry) {
          status = Fail(entry.error());
          return false;
        }
        if (!entry->removed()) entries.push_back(std::move(*entry));
        return entries.size() < kChunk;
      }));
  PXFS_TRY(status);
  return entries;
}

}  // namespace

Result<InodeId> LocalService::CreateDetached(const CallContext& ctx, uint32_t mode) {
  PXFS_TRY(sessions_.Require(ctx.session));
  PXFS_ASSIGN(const InodeId inode, store_->NewInodes());
  PXFS_TRY(store_->Run([&](Transaction& tx) -> Status {
    PXFS_TRY(tx.RoomToGrow());
    NewNode node;
    node.mode = S_IFDIR | (mode & 07777);
    PXFS_ASSIGN(InodeRecord * directory,
                MakeInode(tx, ctx, InodeRecord(), node, inode, store_->Now()));
    directory->detached = true;
    directory->AddDirectories(0);
    tx.Put(keys::Reservation(ctx.session, inode), Encode(ReservationRecord{true, {}, 0}));
    return {};
  }));
  return inode;
}

Status LocalService::Attach(const CallContext& ctx, InodeId detached, InodeId parent,
                            std::string_view name, std::span<const RecordWrite> records) {
  PXFS_TRY(CheckName(name));
  PXFS_TRY(store_->Run([&](Transaction& tx) -> Status {
    PXFS_ASSIGN(InodeRecord * directory, EnterForNew(tx, ctx, parent, name));
    const std::string reservation = keys::Reservation(ctx.session, detached);
    PXFS_ASSIGN(const auto reserved, tx.GetRecord<ReservationRecord>(reservation));
    if (!reserved || !reserved->detached_directory)
      return Fail(Code::kInvalid, "inode " + std::to_string(detached.value) +
                                      " is not a detached directory of this session");
    PXFS_ASSIGN(InodeRecord * child, tx.EditInode(detached));
    const Timestamp now = store_->Now();
    child->detached = false;
    child->attr.ctime = now;
    PXFS_TRY(AddName(tx, *directory, name, *child, now));
    tx.Erase(reservation);
    if (!policies_.empty()) PXFS_TRY(LookAtCopies(tx, detached));
    for (const RecordWrite& write : records) {
      if (write.value)
        tx.Put(keys::Record(write.key), *write.value);
      else
        tx.Erase(keys::Record(write.key));
    }
    return {};
  }));
  Notices notices(sessions_, ctx.session);
  notices.Entry(parent, name);
  notices.Attr(parent);
  notices.Send();
  return {};
}

Status LocalService::Discard(const CallContext& ctx, std::span<const InodeId> inodes) {
  PXFS_TRY(sessions_.Require(ctx.session));
  for (const InodeId inode : inodes) PXFS_TRY(DiscardOne(ctx.session, inode));
  return {};
}

Status LocalService::DiscardOne(SessionId session, InodeId inode) {
  const std::string key = keys::Reservation(session, inode);
  bool directory = false;
  PXFS_TRY(store_->Run([&](Transaction& tx) -> Status {
    PXFS_ASSIGN(const auto reserved, tx.GetRecord<ReservationRecord>(key));
    directory = reserved && reserved->detached_directory;
    if (!reserved || directory) return {};
    Replica object;
    object.volume = reserved->volume;
    object.object_generation = reserved->object_generation;
    tx.Erase(key);
    return reclaim_.Add(tx, {inode, {object}, false});
  }));
  if (directory) PXFS_TRY(DiscardTree(key, inode));
  reclaim_.Announce();
  return {};
}

// In steps, depth first: what is left after a crash is still reserved, and discarded when the
// session is.
Status LocalService::DiscardTree(const std::string& reservation, InodeId root) {
  std::vector<InodeId> path = {root};
  while (!path.empty()) {
    const InodeId directory = path.back();
    PXFS_ASSIGN(const std::vector<EntryRecord> entries, SomeEntries(store_->engine(), directory));
    InodeId deeper;
    for (const EntryRecord& entry : entries)
      if (S_ISDIR(entry.type)) deeper = entry.child;
    if (deeper) {
      path.push_back(deeper);
      continue;
    }
    PXFS_TRY(store_->Run([&](Transaction& tx) -> Status {
      if (!entries.empty()) return RemoveAll(tx, directory, entries);
      if (directory != root) {
        PXFS_ASSIGN(const InodePtr record, tx.GetInode(directory));
        EntryRecord own;
        own.name = record->name;
        return RemoveAll(tx, record->parent, {own});
      }
      tx.Erase(reservation);
      return EraseInodeAndAll(tx, root);
    }));
    if (entries.empty()) path.pop_back();
  }
  return {};
}

// Nobody has seen these names, so that nobody holds the inodes.
Status LocalService::RemoveAll(Transaction& tx, InodeId directory,
                               const std::vector<EntryRecord>& entries) {
  PXFS_ASSIGN(InodeRecord * parent, tx.EditInode(directory));
  for (const EntryRecord& entry : entries) {
    PXFS_ASSIGN(const Transaction::Found found, tx.FindEntry(directory, entry.name));
    if (!found.entry) continue;
    PXFS_ASSIGN(InodeRecord * child, EditChild(tx, *found.entry));
    PXFS_TRY(DropName(tx, *parent, found, *child, store_->Now()));
    if (child->removed()) PXFS_TRY(orphans_.Finish(tx, found.entry->child));
  }
  return {};
}

}  // namespace pxfs::meta
