#include "meta/check_census.h"

#include "meta/counters.h"
#include "meta/keys.h"

namespace pxfs::meta {
namespace {

using keys::Family;

class CensusTaker {
 public:
  void Visit(std::string_view key, std::string_view value);
  Census Take() { return std::move(census_); }

 private:
  void VisitLink(std::string_view key, std::string_view value);
  void VisitCounter(std::string_view key, std::string_view value);
  // The record, or a problem.
  template <typename Record>
  std::optional<Record> Read(std::string_view key, std::string_view value) {
    auto record = Decode<Record>(key, value);
    if (record) return std::move(*record);
    census_.problems.push_back(record.error().message());
    return std::nullopt;
  }
  uint64_t Number(std::string_view key, size_t n) {
    uint64_t number = 0;
    if (!keys::ReadNumber(key, n, &number))
      census_.problems.push_back(keys::Describe(key) + ": the key is too short");
    return number;
  }
  CensusInode& At(std::string_view key, size_t n = 0) {
    return census_.inodes[InodeId(Number(key, n))];
  }
  void Mention(SessionId session) {
    if (session) census_.mentioned_sessions.insert(session);
  }

  Census census_;
};

void CensusTaker::VisitLink(std::string_view key, std::string_view value) {
  auto name = DecodeLinkName(key, value);
  if (!name) {
    census_.problems.push_back(name.error().message());
    return;
  }
  At(key).link_records[{InodeId(Number(key, 1)), Number(key, 2)}] = std::move(*name);
}

void CensusTaker::VisitCounter(std::string_view key, std::string_view value) {
  if (key != keys::Counter(kNextInode)) return;
  if (const auto number = DecodeNumber(key, value))
    census_.next_inode = *number;
  else
    census_.problems.push_back(number.error().message());
}

void CensusTaker::Visit(std::string_view key, std::string_view value) {
  switch (static_cast<Family>(key.front())) {
    case Family::kInode:
      if (auto inode = Read<InodeRecord>(key, value)) At(key).record = std::move(*inode);
      return;
    case Family::kEntry:
      if (auto entry = Read<EntryRecord>(key, value)) {
        const InodeId directory(Number(key, 0));
        const uint64_t slot = Number(key, 1);
        if (!entry->removed()) census_.inodes[entry->child].names[{directory, slot}] = entry->name;
        At(key).slots[slot] = std::move(*entry);
      }
      return;
    case Family::kLink:
      VisitLink(key, value);
      return;
    case Family::kXattr:
      At(key).xattrs.emplace(key.substr(keys::Inode(InodeId()).size()));
      return;
    case Family::kVolumeInode:
      At(key, 1).indexed_on.insert(VolumeId(Number(key, 0)));
      return;
    case Family::kOpenForWrite:
      At(key).writers.insert(SessionId(Number(key, 1)));
      Mention(SessionId(Number(key, 1)));
      return;
    case Family::kOrphan:
      if (auto orphan = Read<OrphanRecord>(key, value)) {
        for (const auto& holder : orphan->holders) Mention(holder.session);
        At(key).orphan = std::move(*orphan);
      }
      return;
    case Family::kReservation:
      if (const auto reserved = Read<ReservationRecord>(key, value)) {
        CensusInode& inode = At(key, 1);
        if (reserved->detached_directory)
          inode.reserved_detached = true;
        else if (!reserved->copy)
          inode.reserved_object = true;
        Mention(SessionId(Number(key, 0)));
      }
      return;
    case Family::kReclaim:
      if (const auto item = Read<ReclaimRecord>(key, value))
        census_.inodes[item->inode].reclaim_items += item->whole_inode ? 1 : 0;
      return;
    case Family::kPolicy:
      if (Read<Policy>(key, value)) At(key).has_policy = true;
      return;
    case Family::kSession:
      if (Read<SessionRecord>(key, value)) census_.sessions.insert(SessionId(Number(key, 0)));
      return;
    case Family::kVolume:
      if (Read<VolumeInfo>(key, value)) census_.volumes.insert(VolumeId(Number(key, 0)));
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
  census_.problems.push_back(keys::Describe(key) + ": no such family of keys");
}

}  // namespace

Result<Census> TakeCensus(KvEngine& engine) {
  CensusTaker taker;
  PXFS_TRY(engine.Scan("", "\xff", [&](std::string_view key, std::string_view value) {
    if (!key.empty()) taker.Visit(key, value);
    return true;
  }));
  return taker.Take();
}

}  // namespace pxfs::meta
