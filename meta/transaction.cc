#include "meta/transaction.h"

#include <algorithm>
#include <utility>

#include "meta/keys.h"
#include "meta/slots.h"
#include "meta/store.h"

namespace pxfs::meta {
// ---- inodes ----

Status Transaction::RoomToGrow() { return store_.engine_->RoomToGrow(); }

Result<InodePtr> Transaction::GetInode(InodeId inode) {
  if (!inodes_.empty()) {
    if (const auto it = inodes_.find(inode); it != inodes_.end()) {
      if (!it->second.after) return Fail(Code::kNotFound);
      return InodePtr(it->second.after);
    }
  }
  std::string key = keys::Inode(inode);
  const uint64_t version = store_.engine_->Version(key);
  reads_.push_back({std::move(key), version});
  return store_.GetInode(inode);
}

Result<InodeRecord*> Transaction::EditInode(InodeId inode) {
  if (const auto it = inodes_.find(inode); it != inodes_.end()) {
    if (!it->second.after) return Fail(Code::kNotFound);
    return it->second.after.get();
  }
  PXFS_ASSIGN(InodePtr before, GetInode(inode));
  auto after = std::make_shared<InodeRecord>(*before);
  InodeRecord* record = after.get();
  inodes_[inode] = {std::move(before), std::move(after)};
  return record;
}

InodeRecord& Transaction::AddInode(InodeRecord record) {
  const InodeId inode = record.attr.inode;
  auto after = std::make_shared<InodeRecord>(std::move(record));
  InodeRecord& added = *after;
  inodes_[inode] = {nullptr, std::move(after)};
  return added;
}

Status Transaction::EraseInode(InodeId inode) {
  PXFS_TRY(EditInode(inode));
  inodes_[inode].after = nullptr;
  return {};
}

// ---- directory entries ----

Result<EntryPtr> Transaction::ReadSlot(InodeId directory, uint64_t slot) {
  if (!slots_.empty()) {
    if (const auto it = slots_.find({directory, slot}); it != slots_.end()) return it->second;
  }
  reads_.push_back({keys::Entry(directory, slot), 0});
  const std::string& key = reads_.back().key;
  reads_.back().version = store_.engine_->Version(key);
  const Store::SlotKey cache_key{directory, slot};
  EntryPtr entry;
  decltype(store_.slot_cache_)::Moment moment;
  if (store_.slot_cache_.Get(cache_key, &entry, &moment)) return entry;
  std::string value;
  PXFS_ASSIGN(const bool found, store_.engine_->Get(key, &value));
  if (found) {
    PXFS_ASSIGN(EntryRecord record, Decode<EntryRecord>(key, value));
    entry = std::make_shared<const EntryRecord>(std::move(record));
  }
  store_.slot_cache_.Fill(cache_key, entry, moment);
  return entry;
}

void Transaction::WriteSlot(InodeId directory, uint64_t slot, EntryPtr entry) {
  slots_[{directory, slot}] = std::move(entry);
}

Result<Transaction::Found> Transaction::FindEntry(InodeId directory, std::string_view name) {
  for (uint64_t slot = store_.SlotOf(name);; slot = NextSlot(slot)) {
    PXFS_ASSIGN(EntryPtr entry, ReadSlot(directory, slot));
    if (!entry) return Found{};
    if (entry->name == name) return Found{std::move(entry), slot};
    if (!entry->chained) return Found{};
  }
}

Result<uint64_t> Transaction::AddEntry(InodeId directory, std::string_view name, InodeId child,
                                       uint32_t type, bool* collided) {
  for (uint64_t slot = store_.SlotOf(name);; slot = NextSlot(slot)) {
    PXFS_ASSIGN(EntryPtr there, ReadSlot(directory, slot));
    if (!there || there->removed()) {
      const bool chained = there != nullptr;  // what lay behind the removed entry still does
      WriteSlot(directory, slot,
                std::make_shared<const EntryRecord>(
                    EntryRecord{std::string(name), child, type, chained}));
      return slot;
    }
    *collided = true;
    if (!there->chained) {
      EntryRecord passed = *there;
      passed.chained = true;
      WriteSlot(directory, slot, std::make_shared<const EntryRecord>(std::move(passed)));
    }
  }
}

void Transaction::ReplaceEntry(InodeId directory, const Found& found, InodeId child,
                               uint32_t type) {
  EntryRecord entry = *found.entry;
  entry.child = child;
  entry.type = type;
  WriteSlot(directory, found.slot, std::make_shared<const EntryRecord>(std::move(entry)));
}

void Transaction::EraseEntry(InodeId directory, const Found& found) {
  // The entry may have become chained since it was found, in this very transaction.
  const auto own = slots_.find({directory, found.slot});
  const EntryPtr& now = own != slots_.end() ? own->second : found.entry;
  EntryPtr left;
  if (now->chained) left = std::make_shared<const EntryRecord>(EntryRecord{"", InodeId(), 0, true});
  WriteSlot(directory, found.slot, std::move(left));
}

Status Transaction::EraseRemains(InodeId directory) {
  const std::string begin = keys::Make(keys::Family::kEntry, directory.value);
  for (auto& [slot, entry] : slots_)
    if (slot.first == directory) entry = nullptr;
  return store_.engine_->Scan(begin, keys::EndOf(begin),
                              [&](std::string_view key, std::string_view) {
                                uint64_t slot = 0;
                                if (keys::ReadNumber(key, 1, &slot))
                                  WriteSlot(directory, slot, nullptr);
                                return true;
                              });
}

// ---- other records ----

Result<std::optional<std::string>> Transaction::Get(const std::string& key) {
  if (const auto it = values_.find(key); it != values_.end()) return it->second;
  Note(key);
  std::string value;
  PXFS_ASSIGN(const bool found, store_.engine_->Get(key, &value));
  if (!found) return std::optional<std::string>();
  return std::optional<std::string>(std::move(value));
}

void Transaction::Put(std::string key, std::string value) {
  values_[std::move(key)] = std::move(value);
}

void Transaction::Erase(std::string key) { values_[std::move(key)] = std::nullopt; }

Result<std::vector<KvWrite>> Transaction::Scan(const std::string& begin, const std::string& end,
                                               size_t limit) {
  std::vector<KvWrite> out;
  auto own = values_.lower_bound(begin);
  const auto own_end = values_.lower_bound(end);
  const auto take_own = [&] {
    if (own->second) out.push_back({own->first, *own->second});
    ++own;
  };
  PXFS_TRY(store_.engine_->Scan(begin, end, [&](std::string_view key, std::string_view value) {
    while (own != own_end && own->first < key && out.size() < limit) take_own();
    if (out.size() >= limit) return false;
    if (own != own_end && own->first == key)
      take_own();
    else
      out.push_back({std::string(key), std::string(value)});
    return out.size() < limit;
  }));
  while (own != own_end && out.size() < limit) take_own();
  return out;
}

void Transaction::Note(const std::string& key) {
  reads_.push_back({key, store_.engine_->Version(key)});
}

// ---- commit ----

bool Transaction::StillTrue() const {
  return std::all_of(reads_.begin(), reads_.end(), [&](const KvRead& read) {
    return store_.engine_->Settled(read.version) &&
           store_.engine_->Version(read.key) == read.version;
  });
}

void Transaction::WriteVolumeIndex(InodeId inode, const InodeState& state,
                                   std::vector<KvWrite>* writes) {
  static const std::vector<Replica> kNone;
  const auto& before = state.before ? state.before->replicas : kNone;
  const auto& after = state.after ? state.after->replicas : kNone;
  const auto has = [](const std::vector<Replica>& replicas, VolumeId volume) {
    return std::any_of(replicas.begin(), replicas.end(),
                       [&](const Replica& r) { return r.volume == volume; });
  };
  for (const Replica& replica : before)
    if (!has(after, replica.volume))
      writes->push_back({keys::VolumeInode(replica.volume, inode), "", true});
  for (const Replica& replica : after)
    if (!has(before, replica.volume))
      writes->push_back({keys::VolumeInode(replica.volume, inode), ""});
}

// Whether a file's object may differ now from what it was when `before` was committed.
bool Transaction::ContentChanged(const InodeRecord* before, const InodeRecord& after) {
  const auto same = [](const Replica& a, const Replica& b) {
    return a.volume == b.volume && a.object_generation == b.object_generation &&
           a.generation == b.generation && a.materialized == b.materialized;
  };
  if (!before)
    return std::any_of(after.replicas.begin(), after.replicas.end(),
                       [](const Replica& replica) { return replica.materialized; });
  return before->attr.size_bytes != after.attr.size_bytes ||
         before->attr.mtime != after.attr.mtime ||
         !std::equal(before->replicas.begin(), before->replicas.end(), after.replicas.begin(),
                     after.replicas.end(), same);
}

std::vector<KvWrite> Transaction::Writes() const {
  std::vector<KvWrite> writes;
  writes.reserve(inodes_.size() * 2 + slots_.size() + values_.size());
  for (const auto& [inode, state] : inodes_) {
    if (state.after)
      writes.push_back({keys::Inode(inode), Encode(*state.after)});
    else
      writes.push_back({keys::Inode(inode), "", true});
    WriteVolumeIndex(inode, state, &writes);
  }
  for (const auto& [slot, entry] : slots_) {
    std::string key = keys::Entry(slot.first, slot.second);
    if (entry)
      writes.push_back({std::move(key), Encode(*entry)});
    else
      writes.push_back({std::move(key), "", true});
  }
  for (const auto& [key, value] : values_)
    writes.push_back({key, value.value_or(""), !value.has_value()});
  return writes;
}

Status Transaction::Commit() {
  Totals::Change change;
  for (auto& [inode, state] : inodes_) {
    if (state.after && ContentChanged(state.before.get(), *state.after))
      state.after->content_epoch = store_.epochs_.Stamp();
    change.Replace(state.before.get(), state.after.get());
  }
  return store_.engine_->Commit(reads_, Writes(), [&] {
    for (auto& [inode, state] : inodes_) store_.inode_cache_.Publish(inode, std::move(state.after));
    for (auto& [slot, entry] : slots_)
      store_.slot_cache_.Publish({slot.first, slot.second}, std::move(entry));
    store_.totals_.Apply(change);
  });
}

}  // namespace pxfs::meta
