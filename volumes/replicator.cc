#include "volumes/replicator.h"

#include <sys/prctl.h>

#include <algorithm>

#include "base/logging.h"
#include "volumes/idle_priority.h"
#include "volumes/settle.h"
#include "volumes/shown_path.h"

namespace pxfs::volumes {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint32_t kBatch = 256;
// What rates are taken over, and how often.
constexpr std::chrono::seconds kRateWindow(10);
constexpr std::chrono::milliseconds kSample(500);
constexpr std::chrono::nanoseconds kLookAtRates(std::chrono::seconds(1));

}  // namespace

Result<std::unique_ptr<Replicator>> Replicator::Start(meta::MetadataService& metadata,
                                                      const VolumeSet& volumes, Observer observer) {
  PXFS_ASSIGN(const SessionId session, metadata.OpenSession({"replicator", {}, nullptr}));
  return std::unique_ptr<Replicator>(
      new Replicator(metadata, volumes, session, std::move(observer)));
}

Replicator::Replicator(meta::MetadataService& metadata, const VolumeSet& volumes, SessionId session,
                       Observer observer)
    : metadata_(metadata),
      volumes_(volumes),
      session_(session),
      observer_(std::move(observer)),
      feeder_(metadata, throttle_, [this](VolumeId volume) { return SweepReturned(volume); }),
      copies_(metadata, volumes, session, *this) {
  threads_.emplace_back([this] { FeedLoop(); });
  for (uint32_t worker = 0; worker < CopySettings::kMaxParallel; ++worker)
    threads_.emplace_back([this, worker] { WorkLoop(worker); });
}

Replicator::~Replicator() {
  feeder_.Stop();
  for (std::thread& thread : threads_) thread.join();
  if (const auto closed = metadata_.CloseSession(session_); !closed)
    log::warn("closing the replicator's session: {}", closed.error().message());
}

void Replicator::FeedLoop() {
  ::prctl(PR_SET_NAME, "pxfs-copies");
  while (feeder_.FeedOnce()) Report();
}

void Replicator::WorkLoop(uint32_t worker) {
  ::prctl(PR_SET_NAME, "pxfs-copier");
  BeIdle();
  while (const auto task = feeder_.Next(worker)) WorkOn(*task);
}

void Replicator::WorkOn(const CopyTask& task) {
  const bool moves = !task.items.empty() && task.items[0].reason == meta::CopyReason::kRebalance;
  if (KeepsChanging(task)) {
    feeder_.Done(task, CopyOutcome::kChanged);
    return;
  }
  const auto compared = CompareReturned(task);
  Result<CopyOutcome> outcome = CopyOutcome::kLater;
  if (!compared)
    outcome = Fail(compared.error());
  else if (*compared != ReturnedContent::kOlder)
    outcome = copies_.Settle(task.inode, VolumeId(moves ? task.items[0].number : 0));
  else if (feeder_.NoteOlder(task))
    outcome = CopyOutcome::kSettled;
  // Where it cannot be moved now it may as well stay, without the copy that was perhaps made.
  if (moves && outcome && *outcome == CopyOutcome::kLater) {
    const meta::RecordWrite look{
        meta::KeyOf({meta::CopyReason::kPlace, task.inode, task.items[0].number}), ""};
    const Status queued = metadata_.WriteRecords(std::span(&look, 1), /*sync=*/false);
    if (queued) outcome = CopyOutcome::kSettled;
  }
  if (outcome && *outcome == CopyOutcome::kSettled) {
    if (const Status finished = Finish(task); !finished) outcome = Fail(finished.error());
  }
  if (!outcome && !(outcome.error() == Code::kInterrupted))
    log::warn("copies of inode {}: {}", task.inode.value, outcome.error().message());
  const CopyOutcome came_to = outcome.value_or(CopyOutcome::kLater);
  const uint32_t failures = feeder_.Done(task, came_to);
  if (came_to != CopyOutcome::kChanged || failures != kChangesUntilGivenUp) return;
  ++given_up_;
  log::warn(
      "{}: it changes while it is copied, again and again; it is left alone until it does not",
      ShownPath(metadata_, task.inode));
}

bool Replicator::KeepsChanging(const CopyTask& task) const {
  if (task.failures < kChangesUntilGivenUp) return false;
  const auto attr = metadata_.GetAttr({.session = session_}, task.inode);
  if (!attr) return false;
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(
      std::chrono::system_clock::now().time_since_epoch());
  // Unlike mtime it cannot be set. A clock that was set back is no reason to wait for it.
  const std::chrono::seconds age = now - std::chrono::seconds(attr->ctime.seconds);
  return attr->open_for_write || (age.count() >= 0 && age < kQuiet);
}

// Before anything is copied from what is back, or dropped elsewhere because of it.
Result<ReturnedContent> Replicator::CompareReturned(const CopyTask& task) {
  if (!task.returned && !volumes_.AnyUnsettled()) return ReturnedContent::kSame;
  const auto spend = [&](VolumeId volume, uint64_t bytes) {
    return Spend(volume, volume, bytes, bytes);
  };
  PXFS_ASSIGN(
      const ReturnedContent found,
      SettleReturned(metadata_, volumes_, task.inode,
                     {.also = task.returned, .progress = spend, .tell = feeder_.FirstLook(task)}));
  if (found != ReturnedContent::kSame && task.returned && feeder_.NoteOldContent(task))
    log::error("volume {} is back with another content than it had when it went",
               volumes_.NameOf(task.returned));
  return found;
}

// What was removed while it was there, and is there again, as was all that it had before.
Status Replicator::SweepReturned(VolumeId id) {
  meta::StoreKeeper* const keeper = metadata_.keeper();
  const auto volume = volumes_.Find(id);
  if (!keeper || !volume) return {};
  PXFS_ASSIGN(const size_t removed, RemoveUnknownObjects(*keeper, *volume));
  if (removed > 0)
    log::info("volume {}: deleted {} objects of files that are not there any more", volume->name(),
              removed);
  return {};
}

Status Replicator::Finish(const CopyTask& task) {
  std::vector<meta::RecordWrite> gone;
  bool children = false;
  for (const meta::CopyItem& item : task.items) {
    children |= item.reason == meta::CopyReason::kPlace;
    gone.push_back({meta::KeyOf(item), std::nullopt});
  }
  if (children) PXFS_TRY(QueueChildren(task.inode));
  return gone.empty() ? Status() : metadata_.WriteRecords(gone, /*sync=*/false);
}

// What a directory holds is queued before the directory's own item goes.
Status Replicator::QueueChildren(InodeId directory) {
  const meta::CallContext ctx{.session = session_};
  const auto attr = metadata_.GetAttr(ctx, directory);
  if (!attr && attr.error() == Code::kNotFound) return {};
  if (!attr) return Fail(attr.error());
  if (!attr->is_directory()) return {};
  for (uint64_t cookie = 0;;) {
    PXFS_ASSIGN(const meta::DirPage page,
                metadata_.ReadDirectory(ctx, directory, cookie, kBatch, false));
    std::vector<meta::RecordWrite> items;
    for (const meta::DirEntry& entry : page.entries) {
      cookie = entry.cookie;
      if (entry.attr.is_directory() || entry.attr.is_regular())
        items.push_back({meta::KeyOf({meta::CopyReason::kPlace, entry.attr.inode, 0}), ""});
    }
    PXFS_TRY(metadata_.WriteRecords(items, /*sync=*/false));
    if (page.end || page.entries.empty()) return {};
  }
}

void Replicator::Reached(CopyStep step) {
  if (step == CopyStep::kCommitted) ++files_;
  if (step == CopyStep::kDropped) ++dropped_;
  if (observer_) observer_(step);
}

bool Replicator::Spend(VolumeId from, VolumeId to, uint64_t bytes, uint64_t cost) {
  bytes_ += bytes;
  auto wait = throttle_.Spend(from, to, cost);
  // The limits may be others before that is over.
  while (wait > kLookAtRates) {
    if (!feeder_.Pause(kLookAtRates)) return false;
    wait = std::min(wait - kLookAtRates, throttle_.Spend(from, to, 0));
  }
  return wait.count() > 0 ? feeder_.Pause(wait) : !feeder_.stopping();
}

void Replicator::Report() {
  meta::StoreKeeper* const keeper = metadata_.keeper();
  const auto now = Clock::now();
  if (!keeper || (!samples_.empty() && now - samples_.back().first < kSample)) return;
  samples_.emplace_back(now, bytes_.load());
  while (now - samples_.front().first > kRateWindow) samples_.pop_front();
  std::lock_guard lock(rates_mutex_);
  rates_.files = files_;
  rates_.bytes = bytes_;
  rates_.dropped = dropped_;
  rates_.given_up = given_up_;
  const double seconds = std::chrono::duration<double>(now - samples_.front().first).count();
  if (seconds > 0)
    rates_.bytes_per_second = static_cast<uint64_t>(
        static_cast<double>(rates_.bytes - samples_.front().second) / seconds);
  keeper->ReportCopying(rates_);
}

void Replicator::Begun(const meta::ObjectRef& copy) {
  std::lock_guard lock(rates_mutex_);
  rates_.under_way.push_back(copy);
  if (meta::StoreKeeper* const keeper = metadata_.keeper()) keeper->ReportCopying(rates_);
}

void Replicator::Ended(const meta::ObjectRef& copy) {
  std::lock_guard lock(rates_mutex_);
  std::erase_if(rates_.under_way, [&](const meta::ObjectRef& other) {
    return other.inode == copy.inode && other.object_generation == copy.object_generation;
  });
  if (meta::StoreKeeper* const keeper = metadata_.keeper()) keeper->ReportCopying(rates_);
}

}  // namespace pxfs::volumes
