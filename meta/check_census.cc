#include "meta/check_census.h"

#include <algorithm>

#include "meta/counters.h"
#include "meta/keys.h"

namespace pxfs::meta {
namespace {

using keys::Family;

class CensusTaker {
 public:
  explicit CensusTaker(const InodeRange& range) : range_(range) {}

  void Visit(std::string_view key, std::string_view value);
  Census Take() { return std::move(census_); }

 private:
  void VisitEntry(std::string_view key, std::string_view value);
  void VisitLink(std::string_view key, std::string_view value);
  void VisitCounter(std::string_view key, std::string_view value);
  void VisitReservation(std::string_view key, std::string_view value);
  void Damaged(std::string_view key, const std::string& what);
  // The record, or a problem.
  template <typename Record>
  std::optional<Record> Read(std::string_view key, std::string_view value) {
    auto record = Decode<Record>(key, value);
    if (record) return std::move(*record);
    Damaged(key, record.error().message());
    return std::nullopt;
  }
  // 0 where the key is too short, which is said when the record is damaged too.
  static uint64_t Number(std::string_view key, size_t n) {
    uint64_t number = 0;
    return keys::ReadNumber(key, n, &number) ? number : 0;
  }
  static InodeId InodeOf(std::string_view key);
  bool Wanted(std::string_view key, size_t n = 0) const {
    return range_.Has(InodeId(Number(key, n)));
  }
  CensusInode& At(std::string_view key, size_t n = 0) {
    return census_.inodes[InodeId(Number(key, n))];
  }
  void Mention(SessionId session) {
    if (session) census_.mentioned_sessions.insert(session);
  }

  const InodeRange range_;
  Census census_;
};

// The inode that a record is of; 0: of none.
InodeId CensusTaker::InodeOf(std::string_view key) {
  switch (static_cast<Family>(key.front())) {
    case Family::kInode:
    case Family::kEntry:
    case Family::kLink:
    case Family::kXattr:
    case Family::kOpenForWrite:
    case Family::kOrphan:
    case Family::kPolicy:
      return InodeId(Number(key, 0));
    case Family::kVolumeInode:
    case Family::kReservation:
      return InodeId(Number(key, 1));
    default:
      return InodeId();
  }
}

void CensusTaker::Damaged(std::string_view key, const std::string& what) {
  const InodeId inode = InodeOf(key);
  if (range_.Has(inode)) census_.damaged.push_back({std::string(key), inode, what});
}

void CensusTaker::VisitEntry(std::string_view key, std::string_view value) {
  auto entry = Read<EntryRecord>(key, value);
  if (!entry) return;
  const InodeId directory(Number(key, 0));
  const uint64_t slot = Number(key, 1);
  if (!entry->removed() && range_.Has(entry->child)) {
    CensusInode& child = census_.inodes[entry->child];
    child.names[{directory, slot}] = entry->name;
    child.entry_traits[{directory, slot}] = {entry->type, entry->chained};
  }
  if (range_.Has(directory)) census_.inodes[directory].slots[slot] = std::move(*entry);
}

void CensusTaker::VisitLink(std::string_view key, std::string_view value) {
  if (!Wanted(key)) return;
  auto name = DecodeLinkName(key, value);
  if (!name) return Damaged(key, name.error().message());
  At(key).link_records[{InodeId(Number(key, 1)), Number(key, 2)}] = std::move(*name);
}

void CensusTaker::VisitCounter(std::string_view key, std::string_view value) {
  if (key == keys::Counter("boot") || key == keys::Counter("schema")) return;
  if (key == keys::Counter("totals")) {
    Read<TotalsRecord>(key, value);
    return;
  }
  const auto number = DecodeNumber(key, value);
  if (!number) return Damaged(key, number.error().message());
  if (key == keys::Counter(kNextInode)) census_.next_inode = *number;
}

void CensusTaker::VisitReservation(std::string_view key, std::string_view value) {
  const auto reserved = Read<ReservationRecord>(key, value);
  if (!reserved) return;
  const SessionId session(Number(key, 0));
  Mention(session);
  if (!Wanted(key, 1)) return;
  // A further copy of an inode is no business of the inode's until it is there.
  if (reserved->copy) return;
  CensusInode& inode = At(key, 1);
  (reserved->detached_directory ? inode.reserved_detached : inode.reserved_object) = true;
  inode.reserved_by.insert(session);
}

void CensusTaker::Visit(std::string_view key, std::string_view value) {
  switch (static_cast<Family>(key.front())) {
    case Family::kInode:
      census_.last_inode = std::max(census_.last_inode, Number(key, 0));
      if (!Wanted(key)) return;
      if (auto inode = Read<InodeRecord>(key, value))
        At(key).record = std::move(*inode);
      else
        At(key).damaged = true;
      return;
    case Family::kEntry:
      return VisitEntry(key, value);
    case Family::kLink:
      return VisitLink(key, value);
    case Family::kXattr:
      if (Wanted(key)) At(key).xattrs.emplace(key.substr(keys::Inode(InodeId()).size()));
      return;
    case Family::kVolumeInode:
      if (Wanted(key, 1)) At(key, 1).indexed_on.insert(VolumeId(Number(key, 0)));
      return;
    case Family::kOpenForWrite:
      Mention(SessionId(Number(key, 1)));
      if (Wanted(key)) At(key).writers.insert(SessionId(Number(key, 1)));
      return;
    case Family::kOrphan:
      if (auto orphan = Read<OrphanRecord>(key, value)) {
        for (const auto& holder : orphan->holders) Mention(holder.session);
        if (Wanted(key)) At(key).orphan = std::move(*orphan);
      }
      return;
    case Family::kReservation:
      return VisitReservation(key, value);
    case Family::kReclaim:
      census_.last_ticket = std::max(census_.last_ticket, Number(key, 0));
      if (const auto item = Read<ReclaimRecord>(key, value))
        if (item->whole_inode && range_.Has(item->inode))
          census_.inodes[item->inode].reclaim_tickets.push_back(Number(key, 0));
      return;
    case Family::kPolicy:
      if (Wanted(key) && Read<Policy>(key, value)) At(key).has_policy = true;
      return;
    case Family::kSession:
      census_.last_session = std::max(census_.last_session, Number(key, 0));
      if (auto session = Read<SessionRecord>(key, value))
        census_.sessions[SessionId(Number(key, 0))] = std::move(session->description);
      return;
    case Family::kVolume:
      census_.last_volume = std::max(census_.last_volume, Number(key, 0));
      // A damaged one is a volume still, and its replicas are no other problem.
      census_.volumes.insert(VolumeId(Number(key, 0)));
      Read<VolumeInfo>(key, value);
      return;
    case Family::kRequest:
      Read<RequestRecord>(key, value);
      return;
    case Family::kCounter:
      VisitCounter(key, value);
      return;
    case Family::kRecord:
      return;  // other services' own
  }
  Damaged(key, keys::Describe(key) + ": no such family of keys");
}

}  // namespace

Result<Census> TakeCensus(KvEngine& engine, const InodeRange& range) {
  CensusTaker taker(range);
  PXFS_TRY(engine.Scan("", "\xff", [&](std::string_view key, std::string_view value) {
    if (!key.empty()) taker.Visit(key, value);
    return true;
  }));
  return taker.Take();
}

}  // namespace pxfs::meta
