// What the replicator has to look at next, most urgent first: the items of the queue
// (meta/copy_queue.h), then what lies on volumes that are draining, that are out of reach for too
// long, or that are back.
//
// 1. An inode is handed out to one worker at a time.
// 2. What could not be done waits a while before it is handed out again; the longer, the more often
//    it could not.
// 3. A volume that is out of reach has an item in the queue until it is back and everything on it
//    has been looked at, so that what became stale or too many meanwhile is found after a crash
//    too. Until then reading there is by its leave (VolumeInfo::unsettled).
//
// Thread-safe; one thread calls FeedOnce.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "meta/copy_queue.h"
#include "meta/service.h"
#include "volumes/copy_settings.h"
#include "volumes/copy_throttle.h"
#include "volumes/file_copies.h"

namespace pxfs::volumes {

// So often in a row a file may change while it is copied. From then on it is copied only once it
// has been left alone for kQuiet.
inline constexpr std::chrono::seconds kQuiet(10);
inline constexpr uint32_t kChangesUntilGivenUp = 5;

struct VolumePass;

struct CopyTask {
  InodeId inode;
  std::vector<meta::CopyItem> items;  // of the queue: all that were there for the inode
  std::shared_ptr<VolumePass> pass;   // else
  VolumeId
      returned;  // the pass is over this volume, which was out of reach and is back; 0: it is not
  uint32_t failures = 0;  // how often in a row it could not be settled
};

class CopyFeeder {
 public:
  using Clock = std::chrono::steady_clock;

  // sweep: deletes what nothing refers to on a volume that is back; called by the feeding thread
  // once everything else there has been looked at. A failure is tried again.
  using Sweep = std::function<Status(VolumeId)>;
  CopyFeeder(meta::MetadataService& metadata, CopyThrottle& throttle, Sweep sweep)
      : metadata_(metadata), throttle_(throttle), sweep_(std::move(sweep)) {}

  // Finds work, and waits until more of it is needed or some time has passed. False: stopped.
  bool FeedOnce();
  void Stop();
  bool stopping() const;
  // Waits; false as soon as it is stopped.
  bool Pause(std::chrono::nanoseconds time);

  // The next task of worker number `worker` (from 0), which sleeps while fewer are to work at a
  // time. Blocks; nothing: stopped.
  std::optional<CopyTask> Next(uint32_t worker);
  // What it came to. Returns how often in a row the file could not be settled.
  uint32_t Done(const CopyTask& task, CopyOutcome outcome);

  // The volume that is back has something other than metadata says. True the first time in a pass.
  bool NoteOldContent(const CopyTask& task);

  // What the volume has of the file is older, or may be, and nothing else of it is there: the look
  // at the volume is repeated until that is no more so. False: the task is not of such a look.
  bool NoteOlder(const CopyTask& task);
  // The look that the task is of is the first one since the volume is back.
  bool FirstLook(const CopyTask& task) const;

  // As CopyHost has them.
  bool MayReturn(VolumeId volume) const;
  Status NoteAway(VolumeId volume) { return Note(volume, meta::kWasAway); }

 private:
  struct Delay {
    Clock::time_point until;
    uint32_t failures = 0;
  };

  Status Feed();
  Status ReadSettings(const std::vector<meta::VolumeInfo>& volumes);
  Status WatchVolumes(const std::vector<meta::VolumeInfo>& volumes);
  Status FeedQueue(const std::vector<meta::VolumeInfo>& volumes);
  Status FeedPasses(const std::vector<meta::VolumeInfo>& volumes);
  Status FeedPass(std::shared_ptr<VolumePass> shared);
  Status EndPass(VolumePass& pass);
  Status ForgetLostVolumes();
  bool Push(CopyTask task);  // false: the inode is being worked on, or has to wait
  bool HasRoom() const;
  Status Note(VolumeId volume, std::string_view why);

  meta::MetadataService& metadata_;
  CopyThrottle& throttle_;
  const Sweep sweep_;
  // Of the feeding thread.
  Clock::time_point settings_due_{}, lost_due_{};
  std::map<VolumeId, std::vector<std::string>> volume_items_;  // keys in the queue
  std::map<VolumeId, std::shared_ptr<VolumePass>> passes_;

  mutable std::mutex mutex_;  // guards the rest
  std::condition_variable wake_feeder_, wake_workers_, stopped_;
  bool stopping_ = false;
  bool more_ = false;  // the last look did not reach the end
  CopySettings settings_;
  std::deque<CopyTask> ready_;
  std::unordered_set<InodeId> held_;  // in ready_, or being worked on
  std::unordered_map<InodeId, Delay> delays_;
  std::map<VolumeId, Clock::time_point> away_since_;
  // Have an item in the queue with this value that holds from now on.
  std::set<std::pair<VolumeId, std::string_view>> noted_;
};

}  // namespace pxfs::volumes
