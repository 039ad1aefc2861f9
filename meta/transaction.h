// Transaction: one attempt of a body run by the Store. It notes what it read, keeps what it changed
// to itself, and sees its own changes. Not thread-safe.
//
// What follows from other records is kept right here, so that no operation can forget it: the
// reverse index follows the replicas, the totals follow the inodes.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "meta/kv_engine.h"
#include "meta/records.h"
#include "meta/totals.h"

namespace pxfs::meta {

class Store;
using EntryPtr = std::shared_ptr<const EntryRecord>;

class Transaction {
 public:
  explicit Transaction(Store& store) : store_(store) {}

  // kNoSpace: what adds something must not be committed (KvEngine::RoomToGrow).
  Status RoomToGrow();

  // ---- inodes ----
  Result<InodePtr> GetInode(InodeId inode);       // kNotFound
  Result<InodeRecord*> EditInode(InodeId inode);  // kNotFound; valid until the transaction ends
  InodeRecord& AddInode(InodeRecord record);      // numbered by attr.inode
  Status EraseInode(InodeId inode);               // kNotFound

  // ---- directory entries; counts and times of the directory are the caller's ----
  struct Found {
    EntryPtr entry;  // null: there is no such name
    uint64_t slot = 0;
  };
  Result<Found> FindEntry(InodeId directory, std::string_view name);
  // The name must not be there. Returns its slot; sets *collided if it is not alone at its place.
  Result<uint64_t> AddEntry(InodeId directory, std::string_view name, InodeId child, uint32_t type,
                            bool* collided);
  // What `found` is now refers to `child`.
  void ReplaceEntry(InodeId directory, const Found& found, InodeId child, uint32_t type);
  void EraseEntry(InodeId directory, const Found& found);
  // Forgets what removed entries left behind in a directory that is empty.
  Status EraseRemains(InodeId directory);

  // ---- other records ----
  Result<std::optional<std::string>> Get(const std::string& key);
  template <typename Record>
  Result<std::optional<Record>> GetRecord(const std::string& key);
  void Put(std::string key, std::string value);
  void Erase(std::string key);
  // Keys of [begin, end) in order, at most `limit`, own changes included. Not in the read set: what
  // was seen must hang on a record that is.
  Result<std::vector<KvWrite>> Scan(const std::string& begin, const std::string& end, size_t limit);
  // Puts the key into the read set as it is now, before the caller looks at what it stands for.
  void Note(const std::string& key);

  // ---- for the Store ----
  bool ReadOnly() const { return inodes_.empty() && slots_.empty() && values_.empty(); }
  // True if all that was read still stands, as one moment's state.
  bool StillTrue() const;
  Status Commit();

 private:
  struct InodeState {
    InodePtr before;                     // null: new
    std::shared_ptr<InodeRecord> after;  // null: erased
  };
  using SlotId = std::pair<InodeId, uint64_t>;

  Result<EntryPtr> ReadSlot(InodeId directory, uint64_t slot);
  void WriteSlot(InodeId directory, uint64_t slot, EntryPtr entry);
  std::vector<KvWrite> Writes() const;
  static bool ContentChanged(const InodeRecord* before, const InodeRecord& after);
  static void WriteVolumeIndex(InodeId inode, const InodeState& state,
                               std::vector<KvWrite>* writes);

  Store& store_;
  std::vector<KvRead> reads_;
  std::unordered_map<InodeId, InodeState> inodes_;
  std::map<SlotId, EntryPtr> slots_;  // null: emptied
  std::map<std::string, std::optional<std::string>> values_;
};

template <typename Record>
Result<std::optional<Record>> Transaction::GetRecord(const std::string& key) {
  PXFS_ASSIGN(std::optional<std::string> value, Get(key));
  if (!value) return std::optional<Record>();
  PXFS_ASSIGN(Record record, Decode<Record>(key, *value));
  return std::optional<Record>(std::move(record));
}

}  // namespace pxfs::meta
