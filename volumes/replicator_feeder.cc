#include "volumes/replicator_feeder.h"

#include <algorithm>

#include "base/logging.h"
#include "meta/lost_volumes.h"
#include "meta/placement.h"

namespace pxfs::volumes {

using meta::CopyItem;
using meta::CopyReason;
using meta::VolumeInfo;
using meta::VolumeState;
using std::chrono::milliseconds;
using std::chrono::seconds;

// One look at everything that lies on a volume, in the order of inodes.
struct VolumePass {
  enum class Why { kDraining, kAway, kReturned };

  VolumeId volume;
  Why why = Why::kDraining;
  std::vector<std::string> items;  // of the queue, that it settles
  InodeId after;
  bool listed = false;                        // all of it
  CopyFeeder::Clock::time_point begun, next;  // next: not before
  // Guarded by the feeder's mutex.
  size_t in_work = 0;
  bool left_over = false;    // something could not be settled
  bool old_content = false;  // something there is not what metadata says
  bool older = false;        // and of something nothing else is there
  bool repeated = false;     // because of that
};

namespace {

// Between two looks when there is nothing to do. Under commit=close a writer waits for it.
constexpr milliseconds kLook(50);
constexpr seconds kReadSettings(1), kForgetLost(5);
// Until what was in the way is looked at again: at first, and when it stays.
constexpr seconds kRetry(2), kLongRetry(10);
constexpr uint32_t kSoon = 30;
// What nobody has looked at again for so long is forgotten.
constexpr seconds kForgetDelay(300);
// What lies on a volume that stays away, or is back with what is older, is looked at so often, or
// less often where that takes long.
constexpr seconds kAwayAgain(10), kOlderAgain(30);
constexpr int kAwayShare = 10;
constexpr uint32_t kBatch = 256;
constexpr size_t kReady = 256, kLow = 32;

std::optional<VolumePass::Why> WhyLook(const VolumeInfo& volume, bool has_items, bool away_long) {
  if (volume.state == VolumeState::kOffline)
    return away_long ? std::optional(VolumePass::Why::kAway) : std::nullopt;
  if (volume.state == VolumeState::kDraining) return VolumePass::Why::kDraining;
  if (has_items) return VolumePass::Why::kReturned;
  return std::nullopt;
}

}  // namespace

bool CopyFeeder::stopping() const {
  std::lock_guard lock(mutex_);
  return stopping_;
}

void CopyFeeder::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_feeder_.notify_all();
  wake_workers_.notify_all();
  stopped_.notify_all();
}

bool CopyFeeder::Pause(std::chrono::nanoseconds time) {
  std::unique_lock lock(mutex_);
  return !stopped_.wait_for(lock, time, [this] { return stopping_; });
}

bool CopyFeeder::HasRoom() const {
  std::lock_guard lock(mutex_);
  return !stopping_ && ready_.size() < kReady;
}

bool CopyFeeder::FeedOnce() {
  if (const Status fed = Feed(); !fed && !stopping())
    log::warn("copies: {}", fed.error().message());
  std::unique_lock lock(mutex_);
  wake_feeder_.wait_for(lock, kLook,
                        [this] { return stopping_ || (more_ && ready_.size() < kLow); });
  return !stopping_;
}

Status CopyFeeder::Feed() {
  PXFS_ASSIGN(const std::vector<VolumeInfo> volumes, metadata_.ListVolumes());
  PXFS_TRY(ReadSettings(volumes));
  PXFS_TRY(WatchVolumes(volumes));
  PXFS_TRY(FeedQueue(volumes));
  PXFS_TRY(FeedPasses(volumes));
  return ForgetLostVolumes();
}

Status CopyFeeder::ReadSettings(const std::vector<VolumeInfo>& volumes) {
  if (Clock::now() < settings_due_) return {};
  settings_due_ = Clock::now() + kReadSettings;
  PXFS_ASSIGN(const CopySettings settings, ReadCopySettings(metadata_));
  std::map<VolumeId, uint64_t> rates;
  for (const VolumeInfo& volume : volumes)
    if (volume.copy_rate != 0) rates[volume.id] = volume.copy_rate;
  throttle_.SetRates(settings.rate, rates);
  {
    std::lock_guard lock(mutex_);
    settings_ = settings;
  }
  wake_workers_.notify_all();
  return {};
}

Status CopyFeeder::WatchVolumes(const std::vector<VolumeInfo>& volumes) {
  for (const VolumeInfo& volume : volumes) {
    const bool away = volume.state == VolumeState::kOffline;
    {
      std::lock_guard lock(mutex_);
      if (away)
        away_since_.emplace(volume.id, Clock::now());
      else
        away_since_.erase(volume.id);
    }
    // A drain that is called off leaves copies that were made in the place of what still lies
    // there.
    if (volume.objects == 0) continue;
    if (away) PXFS_TRY(NoteAway(volume.id));
    if (volume.state == VolumeState::kDraining) PXFS_TRY(Note(volume.id, ""));
  }
  return {};
}

bool CopyFeeder::MayReturn(VolumeId volume) const {
  std::lock_guard lock(mutex_);
  const auto away = away_since_.find(volume);
  return away == away_since_.end() || Clock::now() - away->second < settings_.grace;
}

Status CopyFeeder::Note(VolumeId volume, std::string_view why) {
  {
    std::lock_guard lock(mutex_);
    if (noted_.contains({volume, why})) return {};
  }
  // A new number each time: the end of a pass over the volume must not take the next item with it.
  const meta::RecordWrite item{
      meta::KeyOf({CopyReason::kVolume, InodeId(volume.value), meta::NewItemNumber()}),
      std::string(why)};
  PXFS_TRY(metadata_.WriteRecords(std::span(&item, 1), /*sync=*/false));
  std::lock_guard lock(mutex_);
  noted_.insert({volume, why});
  return {};
}

bool CopyFeeder::Push(CopyTask task) {
  {
    std::lock_guard lock(mutex_);
    if (held_.contains(task.inode)) return false;
    const auto delay = delays_.find(task.inode);
    if (delay != delays_.end() && Clock::now() < delay->second.until) return false;
    if (delay != delays_.end()) task.failures = delay->second.failures;
    held_.insert(task.inode);
    if (task.pass) ++task.pass->in_work;
    ready_.push_back(std::move(task));
  }
  wake_workers_.notify_one();
  return true;
}

// From the front each time, so that what is urgent comes first however long the queue is.
Status CopyFeeder::FeedQueue(const std::vector<VolumeInfo>& volumes) {
  volume_items_.clear();
  bool more = false;
  // A file that is written again and again has many, and one look settles them all. Not so the
  // moves of rebalancing, which say what is to be done.
  std::vector<CopyTask> found;
  std::unordered_map<InodeId, size_t> place;
  for (std::string after;;) {
    PXFS_ASSIGN(const auto records, metadata_.ScanRecords(meta::kCopyQueuePrefix, after, kBatch));
    for (const meta::Record& record : records) {
      after = record.key.substr(meta::kCopyQueuePrefix.size());
      const auto item = meta::ParseCopyItem(record.key);
      if (!item) return Fail(Code::kCorruption, "not a queued copy: " + record.key);
      if (item->reason != CopyReason::kVolume) {
        const bool merges = item->reason != CopyReason::kRebalance;
        const auto known = place.find(item->inode);
        if (merges && known != place.end()) {
          found[known->second].items.push_back(*item);
        } else if (found.size() < kReady) {
          if (merges) place[item->inode] = found.size();
          found.push_back({item->inode, {*item}, nullptr, {}, 0});
        } else {
          more = true;
        }
        continue;
      }
      const VolumeId volume(item->inode.value);
      if (meta::FindVolume(volumes, volume)) {
        volume_items_[volume].push_back(record.key);
        continue;
      }
      const meta::RecordWrite removed{record.key, std::nullopt};
      PXFS_TRY(metadata_.WriteRecords(std::span(&removed, 1), /*sync=*/false));
    }
    if (records.size() < kBatch || more) break;
  }
  for (CopyTask& task : found) {
    if (HasRoom())
      Push(std::move(task));
    else
      more = true;
  }
  std::lock_guard lock(mutex_);
  more_ = more;
  // What is settled or gone without having been looked at again.
  std::erase_if(delays_,
                [](const auto& delay) { return Clock::now() > delay.second.until + kForgetDelay; });
  return {};
}

Status CopyFeeder::FeedPasses(const std::vector<VolumeInfo>& volumes) {
  std::erase_if(passes_, [&](const auto& pass) { return !meta::FindVolume(volumes, pass.first); });
  for (const VolumeInfo& volume : volumes) {
    const bool away_long = volume.state == VolumeState::kOffline && !MayReturn(volume.id);
    const auto items = volume_items_.find(volume.id);
    const auto why = WhyLook(volume, items != volume_items_.end(), away_long);
    auto& pass = passes_[volume.id];
    if (!why) {
      pass.reset();
      continue;
    }
    if (!pass || pass->why != *why) {
      pass = std::make_shared<VolumePass>();
      pass->volume = volume.id;
      pass->why = *why;
      pass->begun = Clock::now();
      if (*why == VolumePass::Why::kReturned) {
        pass->items = items->second;
        std::lock_guard lock(mutex_);
        std::erase_if(noted_, [&](const auto& noted) { return noted.first == volume.id; });
      }
    }
    PXFS_TRY(FeedPass(pass));
  }
  return {};
}

Status CopyFeeder::FeedPass(std::shared_ptr<VolumePass> shared) {
  VolumePass& pass = *shared;
  if (Clock::now() < pass.next) return {};
  const bool returned = pass.why == VolumePass::Why::kReturned;
  while (!pass.listed && HasRoom()) {
    PXFS_ASSIGN(const auto inodes, metadata_.ListVolumeInodes(pass.volume, pass.after, kBatch));
    for (const InodeId inode : inodes) {
      if (Push({inode, {}, shared, returned ? pass.volume : VolumeId(), 0})) continue;
      std::lock_guard lock(mutex_);
      pass.left_over = true;
    }
    pass.listed = inodes.size() < kBatch;
    if (!inodes.empty()) pass.after = inodes.back();
  }
  bool done = false;
  {
    std::lock_guard lock(mutex_);
    more_ |= !pass.listed;
    done = pass.listed && pass.in_work == 0;
  }
  return done ? EndPass(pass) : Status();
}

Status CopyFeeder::EndPass(VolumePass& pass) {
  bool left_over = false, older = false;
  {
    std::lock_guard lock(mutex_);
    left_over = std::exchange(pass.left_over, false);
    older = std::exchange(pass.older, false);
    pass.repeated |= older;
  }
  const bool returned = pass.why == VolumePass::Why::kReturned;
  if (returned && !left_over) PXFS_TRY(sweep_(pass.volume));
  if (returned && !left_over && !older) {
    std::vector<meta::RecordWrite> gone;
    for (const std::string& key : pass.items) gone.push_back({key, std::nullopt});
    PXFS_TRY(metadata_.WriteRecords(gone, /*sync=*/false));
    passes_.erase(pass.volume);
    return {};
  }
  Clock::duration pause = kRetry;
  if (pass.why == VolumePass::Why::kAway)
    pause = std::max<Clock::duration>(left_over ? kRetry : kAwayAgain,
                                      (Clock::now() - pass.begun) * kAwayShare);
  else if (older && !left_over)
    pause = std::max<Clock::duration>(kOlderAgain, (Clock::now() - pass.begun) * kAwayShare);
  pass.begun = pass.next = Clock::now() + pause;
  pass.after = InodeId();
  pass.listed = false;
  return {};
}

// The name of a lost volume is of use as long as some file was lost with it.
Status CopyFeeder::ForgetLostVolumes() {
  if (Clock::now() < lost_due_) return {};
  lost_due_ = Clock::now() + kForgetLost;
  const auto look = [&](const meta::Record& record) -> Status {
    const auto volume = meta::ParseLostVolume(record.key);
    if (!volume) return {};
    PXFS_ASSIGN(const auto inodes, metadata_.ListVolumeInodes(*volume, {}, 1));
    if (!inodes.empty()) return {};
    const meta::RecordWrite gone{record.key, std::nullopt};
    return metadata_.WriteRecords(std::span(&gone, 1), /*sync=*/false);
  };
  return meta::ForEachRecord(metadata_, meta::kLostVolumePrefix, look);
}

std::optional<CopyTask> CopyFeeder::Next(uint32_t worker) {
  std::unique_lock lock(mutex_);
  wake_workers_.wait(lock,
                     [&] { return stopping_ || (!ready_.empty() && worker < settings_.parallel); });
  if (stopping_) return std::nullopt;
  CopyTask task = std::move(ready_.front());
  ready_.pop_front();
  if (ready_.size() < kLow) wake_feeder_.notify_one();
  return task;
}

bool CopyFeeder::NoteOldContent(const CopyTask& task) {
  std::lock_guard lock(mutex_);
  return task.pass && !std::exchange(task.pass->old_content, true);
}

bool CopyFeeder::NoteOlder(const CopyTask& task) {
  std::lock_guard lock(mutex_);
  if (task.pass) task.pass->older = true;
  return task.pass != nullptr;
}

bool CopyFeeder::FirstLook(const CopyTask& task) const {
  std::lock_guard lock(mutex_);
  return task.pass && !task.pass->repeated;
}

uint32_t CopyFeeder::Done(const CopyTask& task, CopyOutcome outcome) {
  std::lock_guard lock(mutex_);
  held_.erase(task.inode);
  if (task.pass) --task.pass->in_work;
  if (outcome == CopyOutcome::kSettled) {
    delays_.erase(task.inode);
    return 0;
  }
  if (task.pass) task.pass->left_over = true;
  Delay& delay = delays_[task.inode];
  ++delay.failures;
  Clock::duration pause = delay.failures <= kSoon ? kRetry : kLongRetry;
  if (outcome == CopyOutcome::kChanged && delay.failures >= kChangesUntilGivenUp) pause = kQuiet;
  delay.until = Clock::now() + pause;
  return delay.failures;
}

}  // namespace pxfs::volumes
