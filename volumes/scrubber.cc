#include "volumes/scrubber.h"

#include <sys/prctl.h>

#include <algorithm>
#include <ctime>

#include "base/logging.h"
#include "volumes/idle_priority.h"
#include "volumes/scrub.h"
#include "volumes/shown_path.h"

namespace pxfs::volumes {
namespace {

using std::chrono::seconds;

constexpr uint32_t kBatch = 256;
// Between two batches of inodes, so that looking for what is due takes little time from others.
constexpr std::chrono::milliseconds kBreath(50);
// Between two passes, unless objects are to be read more often than that.
constexpr seconds kBetweenPasses(3600);
constexpr seconds kReadSettings(1);

}  // namespace

Scrubber::Scrubber(meta::MetadataService& metadata, const VolumeSet& volumes)
    : metadata_(metadata), volumes_(volumes), thread_([this] { Loop(); }) {}

Scrubber::~Scrubber() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  thread_.join();
}

bool Scrubber::Pause(std::chrono::nanoseconds time) {
  std::unique_lock lock(mutex_);
  return !stop_.wait_for(lock, time, [this] { return stopping_; });
}

void Scrubber::Loop() {
  ::prctl(PR_SET_NAME, "pxfs-scrub");
  BeIdle();
  auto last = std::chrono::steady_clock::now();
  // Settings may change while a pass is waited for.
  while (Pause(kReadSettings)) {
    const auto settings = ReadCopySettings(metadata_);
    if (!settings) {
      log::warn("scrub: {}", settings.error().message());
      continue;
    }
    const auto wait = std::min(settings->scrub, kBetweenPasses);
    if (settings->scrub.count() == 0 || std::chrono::steady_clock::now() - last < wait) continue;
    if (const Status done = Pass(*settings); !done && !(done.error() == Code::kInterrupted))
      log::warn("scrub: {}", done.error().message());
    last = std::chrono::steady_clock::now();
  }
}

Status Scrubber::Pass(const CopySettings& settings) {
  throttle_.SetRates(settings.scrub_rate, {});
  for (const auto& volume : volumes_.All()) {
    for (InodeId after;;) {
      PXFS_ASSIGN(const auto inodes, metadata_.ListVolumeInodes(volume->id(), after, kBatch));
      for (const InodeId inode : inodes) PXFS_TRY(Scrub(inode, settings));
      if (!Pause(kBreath)) return Fail(Code::kInterrupted);
      if (inodes.size() < kBatch) break;
      after = inodes.back();
    }
  }
  return {};
}

Status Scrubber::Scrub(InodeId inode, const CopySettings& settings) {
  const int64_t due = ::time(nullptr) - settings.scrub.count();
  const auto file = metadata_.Locate({}, inode);
  if (!file && file.error() == Code::kNotFound) return {};
  if (!file) return Fail(file.error());
  // What was written lately is not read at once.
  const bool any = file->attr.ctime.seconds < due &&
                   std::any_of(file->replicas.begin(), file->replicas.end(),
                               [&](const auto& replica) { return replica.verified_seconds < due; });
  if (!any) return {};
  ScrubOptions options;
  options.verified_before = due;
  options.progress = [this](VolumeId volume, uint64_t bytes) {
    return Pause(throttle_.Spend(volume, volume, bytes));
  };
  PXFS_ASSIGN(const ScrubOutcome outcome, ScrubFile(metadata_, volumes_, inode, options));
  for (const ScrubDamage& damage : outcome.damages) {
    const std::string name = ShownPath(metadata_, inode);
    if (damage.replaceable)
      log::warn("{}: damaged on volume {}: {}; it is replaced by another copy", name,
                volumes_.NameOf(damage.volume), damage.what);
    else
      log::error("{}: damaged on volume {}: {}; there is no other copy", name,
                 volumes_.NameOf(damage.volume), damage.what);
  }
  return {};
}

}  // namespace pxfs::volumes
