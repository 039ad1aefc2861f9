#include "meta/totals.h"

#include <algorithm>

#include "meta/keys.h"

namespace pxfs::meta {
namespace {

const std::string& TotalsKey() {
  static const std::string key = keys::Counter("totals");
  return key;
}

}  // namespace

void Totals::Change::Add(const InodeRecord& inode, int sign) {
  for (const Replica& replica : inode.replicas) {
    auto it = std::find_if(volumes.begin(), volumes.end(),
                           [&](const Volume& v) { return v.volume == replica.volume; });
    if (it == volumes.end()) it = volumes.insert(it, Volume{replica.volume});
    it->objects += sign;
    it->object_bytes += sign * static_cast<int64_t>(inode.attr.size_bytes);
  }
}

void Totals::Change::Replace(const InodeRecord* before, const InodeRecord* after) {
  inodes += (after ? 1 : 0) - (before ? 1 : 0);
  if (before) Add(*before, -1);
  if (after) Add(*after, +1);
}

Result<bool> Totals::Load(KvEngine& engine) {
  std::string value;
  PXFS_ASSIGN(const bool saved, engine.Get(TotalsKey(), &value));
  if (!saved) {
    PXFS_TRY(Count(engine));
    return false;
  }
  PXFS_ASSIGN(const TotalsRecord record, Decode<TotalsRecord>(TotalsKey(), value));
  {
    std::lock_guard lock(mutex_);
    inodes_ = record.inodes;
    for (const TotalsRecord::Volume& v : record.volumes)
      volumes_[v.volume] = {v.objects, v.object_bytes};
  }
  PXFS_TRY(engine.Commit({}, {{TotalsKey(), "", true}}, [] {}));
  return true;
}

Status Totals::Count(KvEngine& engine) {
  Change change;
  Status status;
  const std::string begin = keys::Make(keys::Family::kInode);
  PXFS_TRY(
      engine.Scan(begin, keys::EndOf(begin), [&](std::string_view key, std::string_view value) {
        // A damaged inode is reported to whoever uses it; it does not keep the rest from being
        // served.
        if (auto inode = Decode<InodeRecord>(key, value)) change.Replace(nullptr, &*inode);
        return true;
      }));
  Apply(change);
  return {};
}

Status Totals::Save(KvEngine& engine) const {
  TotalsRecord record;
  {
    std::lock_guard lock(mutex_);
    record.inodes = inodes_;
    for (const auto& [volume, usage] : volumes_)
      record.volumes.push_back({volume, usage.objects, usage.object_bytes});
  }
  return engine.Commit({}, {{TotalsKey(), Encode(record)}}, [] {});
}

void Totals::Apply(const Change& change) {
  if (change.empty()) return;
  std::lock_guard lock(mutex_);
  inodes_ += change.inodes;
  for (const Change::Volume& v : change.volumes) {
    Usage& usage = volumes_[v.volume];
    usage.objects += v.objects;
    usage.object_bytes += v.object_bytes;
  }
}

uint64_t Totals::inodes() const {
  std::lock_guard lock(mutex_);
  return inodes_;
}

Totals::Usage Totals::OnVolume(VolumeId volume) const {
  std::lock_guard lock(mutex_);
  const auto it = volumes_.find(volume);
  return it == volumes_.end() ? Usage{} : it->second;
}

}  // namespace pxfs::meta
