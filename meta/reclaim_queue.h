// The queue of objects that nothing refers to any more: persisted, and handed out to whoever
// deletes objects.
//
// 1. Items are taken from where the last scan ended, so that a busy queue is not scanned over and
//    over.
// 2. Tickets are drawn before the commit, so an item may appear behind the place where a scan
//    ended: every kLateCommits what was scanned since the last time is scanned once more.
// 3. Every `retry` the whole queue is scanned: what was handed out and not confirmed is handed out
//    again, and what took even longer to be committed is found. So it is after a crash.
//
// Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <span>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "meta/service.h"
#include "meta/store.h"

namespace pxfs::meta {

class ReclaimQueue {
 public:
  ReclaimQueue(Store& store, std::chrono::milliseconds retry) : store_(store), retry_(retry) {}

  // Part of a transaction; Announce follows its commit. `record.whole_inode`: its records go too.
  Status Add(Transaction& tx, const ReclaimRecord& record);
  void Announce();

  Result<std::vector<ReclaimItem>> Wait(uint32_t limit, std::chrono::milliseconds wait);
  Status Confirm(std::span<const ReclaimItem> items);
  Result<uint64_t> Count() const;

 private:
  using Clock = std::chrono::steady_clock;
  // Far longer than a transaction takes.
  static constexpr std::chrono::milliseconds kLateCommits{250};

  Result<std::vector<ReclaimItem>> Take(uint32_t limit);
  // Items from ticket `first` that are not handed out.
  Result<std::vector<ReclaimItem>> Scan(uint64_t first, uint32_t limit);

  Store& store_;
  const std::chrono::milliseconds retry_;

  std::mutex take_mutex_;  // one Take at a time; guards these, and is taken before mutex_
  uint64_t next_ = 0;      // where the scan goes on
  uint64_t settled_ = 0;   // nothing before it is expected to appear
  std::unordered_set<uint64_t> handed_out_;
  Clock::time_point look_again_;  // when the scan goes back to settled_
  Clock::time_point rescan_;      // when everything is looked at again

  std::mutex mutex_;  // guards these
  std::condition_variable more_;
  uint64_t announced_ = 0;
};

}  // namespace pxfs::meta
