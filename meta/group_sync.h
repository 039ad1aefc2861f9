// GroupSync: many callers, few syncs. A sync that begins after a caller came covers what the caller
// had done, so all who come while one is under way share the next.
//
// Thread-safe. Blocks for at most two syncs.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>

#include "base/result.h"

namespace pxfs::meta {

class GroupSync {
 public:
  // sync: one at a time; an error is the answer to all whom it was for.
  explicit GroupSync(std::function<Status()> sync) : sync_(std::move(sync)) {}

  Status Run() {
    std::unique_lock lock(mutex_);
    const uint64_t wanted = begun_ + 1;
    while (ended_ < wanted) {
      if (ended_ < begun_) {
        done_.wait(lock);
        continue;
      }
      const uint64_t mine = ++begun_;
      lock.unlock();
      Status status = sync_();
      lock.lock();
      ended_ = mine;
      last_ = std::move(status);
      done_.notify_all();
    }
    // Possibly of a later sync than the wanted one. That says as much: an engine that failed to
    // sync goes on failing.
    return last_;
  }

 private:
  const std::function<Status()> sync_;
  std::mutex mutex_;  // guards the rest
  std::condition_variable done_;
  uint64_t begun_ = 0, ended_ = 0;  // syncs
  Status last_;
};

}  // namespace pxfs::meta
