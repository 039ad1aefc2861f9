#include "meta/totals.h"

#include <algorithm>
#include <utility>

#include "base/logging.h"
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
    state_ = State::kCounting;
    std::promise<void> begun;
    // What is committed after a scan has begun is not seen by it.
    const std::future<void> scanning = begun.get_future();
    counter_ = std::thread(
        [this, &engine, begun = std::move(begun)]() mutable { Count(engine, std::move(begun)); });
    scanning.wait();
    return false;
  }
  PXFS_ASSIGN(const TotalsRecord record, Decode<TotalsRecord>(TotalsKey(), value));
  {
    std::lock_guard lock(mutex_);
    inodes_ = static_cast<int64_t>(record.inodes);
    for (const TotalsRecord::Volume& v : record.volumes)
      volumes_[v.volume] = {static_cast<int64_t>(v.objects), static_cast<int64_t>(v.object_bytes)};
  }
  PXFS_TRY(engine.Commit({}, {{TotalsKey(), "", true}}, [] {}));
  return true;
}

void Totals::Count(KvEngine& engine, std::promise<void> begun) {
  Change change;
  bool first = true;
  const std::string begin = keys::Make(keys::Family::kInode);
  const Status scanned =
      engine.Scan(begin, keys::EndOf(begin), [&](std::string_view key, std::string_view value) {
        if (std::exchange(first, false)) begun.set_value();
        // A damaged inode is reported to whoever uses it; it does not keep the rest from being
        // served.
        if (auto inode = Decode<InodeRecord>(key, value)) change.Replace(nullptr, &*inode);
        return !stop_.load(std::memory_order_relaxed);
      });
  if (first) begun.set_value();
  if (!scanned) log::error("counting the inodes: {}", scanned.error().message());
  std::lock_guard lock(mutex_);
  Add(change);
  state_ = scanned && !stop_ ? State::kKnown : State::kUnknown;
  counted_.notify_all();
}

void Totals::EndCounting() {
  stop_ = true;
  if (counter_.joinable()) counter_.join();
}

Status Totals::Save(KvEngine& engine) const {
  TotalsRecord record;
  {
    std::unique_lock lock(mutex_);
    counted_.wait(lock, [this] { return state_ != State::kCounting; });
    if (state_ == State::kUnknown) return {};
    record.inodes = static_cast<uint64_t>(inodes_);
    for (const auto& [volume, sum] : volumes_)
      record.volumes.push_back(
          {volume, static_cast<uint64_t>(sum.objects), static_cast<uint64_t>(sum.object_bytes)});
  }
  return engine.Commit({}, {{TotalsKey(), Encode(record)}}, [] {});
}

void Totals::Apply(const Change& change) {
  if (change.empty()) return;
  std::lock_guard lock(mutex_);
  Add(change);
}

void Totals::Add(const Change& change) {
  inodes_ += change.inodes;
  for (const Change::Volume& v : change.volumes) {
    Sum& sum = volumes_[v.volume];
    sum.objects += v.objects;
    sum.object_bytes += v.object_bytes;
  }
}

uint64_t Totals::inodes() const {
  std::unique_lock lock(mutex_);
  counted_.wait(lock, [this] { return state_ != State::kCounting; });
  return static_cast<uint64_t>(std::max<int64_t>(inodes_, 0));
}

Totals::Usage Totals::OnVolume(VolumeId volume) const {
  std::lock_guard lock(mutex_);
  const auto it = volumes_.find(volume);
  if (it == volumes_.end()) return {};
  return {static_cast<uint64_t>(std::max<int64_t>(it->second.objects, 0)),
          static_cast<uint64_t>(std::max<int64_t>(it->second.object_bytes, 0))};
}

}  // namespace pxfs::meta
