#include "meta/repair.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "meta/check_census.h"
#include "meta/counters.h"
#include "meta/keys.h"
#include "meta/names.h"
#include "meta/posix_acl.h"

namespace pxfs::meta {
namespace {

constexpr uint32_t kMadeAnewMode = 0700;

// Puts one inode right. Each method is a part of the same transaction.
class InodeRepair {
 public:
  InodeRepair(Transaction& tx, Store& store, InodeId id, const CensusInode& census,
              const FindObject& find_object)
      : tx_(tx), store_(store), id_(id), census_(census), find_object_(find_object) {}

  Status Run(bool loop) {
    if (!census_.record) return RunMissing();
    PXFS_ASSIGN(record_, tx_.EditInode(id_));
    if (loop) return BreakLoop();
    PXFS_TRY(SettleReservation());
    PXFS_TRY(record_->removed() && census_.names.empty() ? SettleRemoved() : SettleNames());
    if (record_->attr.is_directory())
      PXFS_TRY(SettleDirectory());
    else
      for (const auto& [slot, entry] : census_.slots) EraseSlot(slot, entry);
    SettleReplicas();
    SettleXattrs();
    record_->SetWriters(static_cast<uint32_t>(census_.writers.size()));
    if (census_.has_policy && (!record_->attr.is_directory() || record_->removed()))
      tx_.Erase(keys::Policy(id_));
    return {};
  }

 private:
  Status RunMissing();
  Status MakeDirectoryAnew();
  Status MakeFileAnew(const Location& found);
  Status BreakLoop();
  Status SettleReservation();
  Status SettleRemoved();
  Status SettleNames();
  Status GiveName();
  Status SettleFileNames();
  Status SettleDirectoryName();
  Status SettleDirectory();
  void SettleReplicas();
  void SettleXattrs();

  static Transaction::Found FoundAt(uint64_t slot, const EntryRecord& entry) {
    return {std::make_shared<const EntryRecord>(entry), slot};
  }
  void EraseSlot(uint64_t slot, const EntryRecord& entry) {
    if (entry.removed())
      tx_.Erase(keys::Entry(id_, slot));
    else
      tx_.EraseEntry(id_, FoundAt(slot, entry));
  }
  EntryRecord EntryAt(const LinkPlace& place) const {
    const auto& traits = census_.entry_traits.at(place);
    return {census_.names.at(place), id_, traits.type, traits.chained};
  }
  Status TakeName(const LinkPlace& place);
  void EraseReclaim(size_t keep) {
    for (size_t i = keep; i < census_.reclaim_tickets.size(); ++i)
      tx_.Erase(keys::Reclaim(census_.reclaim_tickets[i]));
  }
  void WriteLinkRecords(const std::map<LinkPlace, std::string>& wanted);
  bool IsNamed(const LinkPlace& place) const {
    return record_->parent == place.first && record_->name == census_.names.at(place);
  }

  Transaction& tx_;
  Store& store_;
  const InodeId id_;
  const CensusInode& census_;
  const FindObject& find_object_;
  InodeRecord* record_ = nullptr;
};

// The entry goes, and its directory counts one less.
Status InodeRepair::TakeName(const LinkPlace& place) {
  const EntryRecord entry = EntryAt(place);
  tx_.EraseEntry(place.first, FoundAt(place.second, entry));
  auto directory = tx_.EditInode(place.first);
  if (!directory) return directory.error() == Code::kNotFound ? Status() : Fail(directory.error());
  if ((*directory)->entries > 0) --(*directory)->entries;
  if (S_ISDIR(entry.type) && (*directory)->directories > 0) (*directory)->AddDirectories(-1);
  Touch(**directory, store_.Now());
  return {};
}

void InodeRepair::WriteLinkRecords(const std::map<LinkPlace, std::string>& wanted) {
  for (const auto& [place, name] : census_.link_records)
    if (!wanted.contains(place)) tx_.Erase(keys::Link(id_, place.first, place.second));
  for (const auto& [place, name] : wanted)
    tx_.Put(keys::Link(id_, place.first, place.second), EncodeLinkName(name));
}

// ---- the inode is not there ----

Status InodeRepair::MakeDirectoryAnew() {
  record_ = &AddDirectory(tx_, id_, kMadeAnewMode, store_.Now());
  record_->xattrs = static_cast<uint32_t>(census_.xattrs.size());
  // The next pass counts its entries, and gives it a name if it has none.
  if (census_.names.empty()) return {};
  record_->parent = census_.names.begin()->first.first;
  record_->name = census_.names.begin()->second;
  return {};
}

Status InodeRepair::MakeFileAnew(const Location& found) {
  InodeRecord record;
  record.attr = found.attr;
  record.attr.inode = id_;
  record.attr.nlink = static_cast<uint32_t>(std::max<size_t>(census_.names.size(), 1));
  record.replicas = found.replicas;
  if (!census_.names.empty()) {
    record.parent = census_.names.begin()->first.first;
    record.name = census_.names.begin()->second;
  }
  record_ = &tx_.AddInode(std::move(record));
  SettleXattrs();
  record_->SetWriters(static_cast<uint32_t>(census_.writers.size()));
  if (census_.names.size() > 1) WriteLinkRecords(census_.names);
  return {};
}

Status InodeRepair::RunMissing() {
  const auto named_as = [&](uint32_t type) {
    return std::any_of(census_.entry_traits.begin(), census_.entry_traits.end(),
                       [&](const auto& entry) { return entry.second.type == type; });
  };
  const bool named = !census_.names.empty();
  // Of a removed one nothing is wanted back.
  const bool removed = census_.orphan || !census_.reclaim_tickets.empty();
  if (!removed && (!census_.slots.empty() || named_as(S_IFDIR))) return MakeDirectoryAnew();
  if (!removed && (named ? named_as(S_IFREG) : !census_.indexed_on.empty())) {
    const auto found = find_object_(id_, census_.indexed_on);
    if (!found) return found.error() == Code::kUnavailable ? Status() : Fail(found.error());
    if (*found) return MakeFileAnew(**found);
  }
  for (const auto& [place, name] : census_.names) PXFS_TRY(TakeName(place));
  for (const auto& [slot, entry] : census_.slots) EraseSlot(slot, entry);
  WriteLinkRecords({});
  for (const std::string& name : census_.xattrs) tx_.Erase(keys::Xattr(id_, name));
  for (const VolumeId volume : census_.indexed_on) tx_.Erase(keys::VolumeInode(volume, id_));
  for (const SessionId session : census_.writers) tx_.Erase(keys::OpenForWrite(id_, session));
  if (census_.orphan) tx_.Erase(keys::Orphan(id_));
  EraseReclaim(0);
  if (census_.reserved_detached)
    for (const SessionId session : census_.reserved_by) tx_.Erase(keys::Reservation(session, id_));
  if (census_.has_policy) tx_.Erase(keys::Policy(id_));
  return {};
}

// ---- names ----

Status InodeRepair::BreakLoop() {
  for (const auto& [place, name] : census_.names) PXFS_TRY(TakeName(place));
  return PutIntoLostAndFound(tx_, store_, *record_);
}

Status InodeRepair::SettleReservation() {
  const bool reserved = census_.reserved_detached || census_.reserved_object;
  // A tree that nobody is about to publish gets a name below.
  if (record_->detached && !census_.reserved_detached) record_->detached = false;
  if (reserved && (!record_->detached || census_.reserved_object))
    for (const SessionId session : census_.reserved_by) tx_.Erase(keys::Reservation(session, id_));
  return {};
}

Status InodeRepair::SettleRemoved() {
  WriteLinkRecords({});
  EraseReclaim(1);
  const bool held = census_.orphan && !census_.orphan->holders.empty();
  if (census_.orphan && (!held || !census_.reclaim_tickets.empty())) tx_.Erase(keys::Orphan(id_));
  if (held || !census_.reclaim_tickets.empty()) return {};
  PXFS_ASSIGN(const uint64_t ticket, store_.NewTicket());
  tx_.Put(keys::Reclaim(ticket), Encode(ReclaimRecord{id_, record_->replicas, true}));
  return {};
}

// The name that the inode says it has, if it is free, else one in lost+found.
Status InodeRepair::GiveName() {
  WriteLinkRecords({});
  if (!record_->attr.is_directory()) record_->attr.nlink = 0;
  auto parent = tx_.EditInode(record_->parent);
  if (parent && (*parent)->attr.is_directory() && !(*parent)->removed() && record_->parent != id_ &&
      CheckName(record_->name)) {
    PXFS_ASSIGN(const Transaction::Found taken, tx_.FindEntry(record_->parent, record_->name));
    if (!taken.entry) {
      // It was there all the time, as far as anybody knows.
      const Attr before = (*parent)->attr;
      PXFS_TRY(AddName(tx_, **parent, std::string(record_->name), *record_, store_.Now()));
      (*parent)->attr.mtime = before.mtime;
      (*parent)->attr.ctime = before.ctime;
      return {};
    }
  }
  return PutIntoLostAndFound(tx_, store_, *record_);
}

Status InodeRepair::SettleNames() {
  if (census_.orphan) tx_.Erase(keys::Orphan(id_));
  EraseReclaim(0);
  if (id_ == kRootInode || record_->detached) {
    for (const auto& [place, name] : census_.names) PXFS_TRY(TakeName(place));
    return {};
  }
  if (census_.names.empty()) return GiveName();
  const uint32_t type = record_->attr.mode & S_IFMT;
  for (const auto& [place, traits] : census_.entry_traits)
    if (traits.type != type)
      tx_.ReplaceEntry(place.first, FoundAt(place.second, EntryAt(place)), id_, type);
  return record_->attr.is_directory() ? SettleDirectoryName() : SettleFileNames();
}

Status InodeRepair::SettleFileNames() {
  record_->attr.nlink = static_cast<uint32_t>(census_.names.size());
  WriteLinkRecords(census_.names.size() > 1 ? census_.names : std::map<LinkPlace, std::string>());
  const bool named = std::any_of(census_.names.begin(), census_.names.end(),
                                 [&](const auto& name) { return IsNamed(name.first); });
  if (named) return {};
  record_->parent = census_.names.begin()->first.first;
  record_->name = census_.names.begin()->second;
  return {};
}

Status InodeRepair::SettleDirectoryName() {
  WriteLinkRecords({});
  auto kept = std::find_if(census_.names.begin(), census_.names.end(),
                           [&](const auto& name) { return IsNamed(name.first); });
  if (kept == census_.names.end()) kept = census_.names.begin();
  for (const auto& [place, name] : census_.names)
    if (place != kept->first) PXFS_TRY(TakeName(place));
  record_->parent = kept->first.first;
  record_->name = kept->second;
  return {};
}

// ---- what an inode counts ----

Status InodeRepair::SettleDirectory() {
  uint64_t entries = 0, directories = 0;
  for (const auto& [slot, entry] : census_.slots) {
    record_->collided |= entry.chained;
    entries += entry.removed() ? 0 : 1;
    directories += !entry.removed() && S_ISDIR(entry.type) ? 1 : 0;
  }
  // Entries may have come in this very transaction, by the lost+found: the next pass counts again.
  record_->entries = entries;
  record_->directories = directories;
  record_->attr.nlink = record_->removed() && census_.names.empty() && id_ != kRootInode
                            ? 0
                            : static_cast<uint32_t>(2 + directories);
  // Entries that their names do not lead to are put where they belong.
  for (const auto& [slot, entry] : census_.slots) {
    if (entry.removed()) continue;
    PXFS_ASSIGN(const Transaction::Found found, tx_.FindEntry(id_, entry.name));
    if (found.entry && found.slot == slot) continue;
    tx_.EraseEntry(id_, FoundAt(slot, entry));
    if (found.entry) {  // the name is there twice: the inode of this one is found again without it
      --record_->entries;
      if (S_ISDIR(entry.type)) record_->AddDirectories(-1);
      continue;
    }
    PXFS_TRY(tx_.AddEntry(id_, entry.name, entry.child, entry.type, &record_->collided));
  }
  return {};
}

void InodeRepair::SettleReplicas() {
  std::vector<Replica>& replicas = record_->replicas;
  if (!record_->attr.is_regular()) replicas.clear();
  const auto primaries = std::count_if(replicas.begin(), replicas.end(),
                                       [](const Replica& replica) { return replica.primary; });
  if (!replicas.empty() && primaries != 1) {
    const auto newest = std::max_element(
        replicas.begin(), replicas.end(),
        [](const Replica& a, const Replica& b) { return a.generation < b.generation; });
    for (Replica& replica : replicas) replica.primary = false;
    newest->primary = true;
  }
  for (Replica& replica : replicas) {
    if (replica.state != ReplicaState::kCurrent || replica.generation == record_->attr.generation)
      continue;
    // What the primary holds is the content, whatever its number.
    if (replica.primary)
      replica.generation = record_->attr.generation;
    else
      replica.state = ReplicaState::kStale;
  }
  std::set<VolumeId> wanted;
  for (const Replica& replica : replicas) wanted.insert(replica.volume);
  for (const VolumeId volume : census_.indexed_on)
    if (!wanted.contains(volume)) tx_.Erase(keys::VolumeInode(volume, id_));
  for (const VolumeId volume : wanted)
    if (!census_.indexed_on.contains(volume)) tx_.Put(keys::VolumeInode(volume, id_), "");
}

void InodeRepair::SettleXattrs() {
  record_->xattrs = static_cast<uint32_t>(census_.xattrs.size());
  record_->access_acl = census_.xattrs.contains(std::string(kAccessAclName));
  record_->default_acl = census_.xattrs.contains(std::string(kDefaultAclName));
}

}  // namespace

InodeRecord& AddDirectory(Transaction& tx, InodeId inode, uint32_t permissions, Timestamp now) {
  InodeRecord record;
  record.attr.inode = inode;
  record.attr.mode = S_IFDIR | permissions;
  record.attr.atime = record.attr.mtime = record.attr.ctime = record.attr.btime = now;
  record.attr.generation = 1;
  record.AddDirectories(0);
  return tx.AddInode(std::move(record));
}

Status PutIntoLostAndFound(Transaction& tx, Store& store, InodeRecord& inode) {
  PXFS_ASSIGN(InodeRecord * root, tx.EditInode(kRootInode));
  InodeRecord* directory = nullptr;
  // Whoever has made a file of this name keeps it.
  for (int i = 1; directory == nullptr; ++i) {
    const std::string name = kLostAndFound + (i == 1 ? "" : "-" + std::to_string(i));
    PXFS_ASSIGN(const Transaction::Found found, tx.FindEntry(kRootInode, name));
    if (!found.entry) {
      PXFS_ASSIGN(const InodeId id, store.NewInodes());
      directory = &AddDirectory(tx, id, kMadeAnewMode, store.Now());
      PXFS_TRY(AddName(tx, *root, name, *directory, store.Now()));
    } else if (found.entry->child != inode.attr.inode) {
      const auto there = tx.EditInode(found.entry->child);
      if (there && (*there)->attr.is_directory()) directory = *there;
    }
  }
  std::string name = "#" + ToHex(inode.attr.inode.value);
  for (int i = 2;; ++i) {
    PXFS_ASSIGN(const Transaction::Found taken, tx.FindEntry(directory->attr.inode, name));
    if (!taken.entry) break;
    name = "#" + ToHex(inode.attr.inode.value) + "-" + std::to_string(i);
  }
  if (!inode.attr.is_directory()) inode.attr.nlink = 0;
  return AddName(tx, *directory, name, inode, store.Now());
}

Result<std::vector<Finding>> MendRecords(KvEngine& engine, const CheckOptions& options) {
  std::vector<Finding> findings;
  std::vector<KvWrite> writes;
  CheckVisitor visitor;
  visitor.found = [&](Finding finding) { findings.push_back(std::move(finding)); };
  visitor.mend = [&](const std::string& key, const std::string& value) {
    // What a volume's record says, nothing else does.
    if (key.front() == static_cast<char>(keys::Family::kVolume)) return;
    writes.push_back({key, value, value.empty()});
  };
  PXFS_TRY(WalkStore(engine, options, visitor));
  if (!writes.empty()) PXFS_TRY(engine.Commit({}, writes, [] {}));
  return findings;
}

Result<bool> RepairOnce(Store& store, const CheckOptions& options, const FindObject& find_object) {
  bool changed = false;
  CheckVisitor visitor;
  visitor.broken = [&](InodeId inode, const CensusInode& census, bool loop) {
    return store.Run([&](Transaction& tx) -> Status {
      PXFS_TRY(InodeRepair(tx, store, inode, census, find_object).Run(loop));
      changed |= !tx.ReadOnly();
      return {};
    });
  };
  PXFS_TRY(WalkStore(store.engine(), options, visitor));
  return changed;
}

}  // namespace pxfs::meta
