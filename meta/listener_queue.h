// One listener's invalidations in order, delivered by a thread of its own. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/ids.h"
#include "meta/service.h"

namespace pxfs::meta {

// What one mutation tells several listeners; done when all of them have dropped it.
class Delivery {
 public:
  explicit Delivery(std::vector<Invalidation> items) : items_(std::move(items)) {}

  const std::vector<Invalidation>& items() const { return items_; }
  void Expect();
  void Done();
  // False: the time is over.
  bool Wait(std::chrono::milliseconds timeout);

 private:
  const std::vector<Invalidation> items_;
  std::mutex mutex_;  // guards outstanding_
  std::condition_variable all_done_;
  size_t outstanding_ = 0;
};

class ListenerQueue {
 public:
  // A listener that is this far behind drops all that it caches, instead of one thing after the
  // other.
  static constexpr size_t kMaxQueued = 100'000;

  ListenerQueue(SessionId session, CacheListener& listener);
  ~ListenerQueue() { Stop(); }

  // Returns when the listener has; it is not called again. Once only, but for the destructor.
  void Stop();

  // The delivery waits for this listener unless it is late.
  void Post(std::shared_ptr<Delivery> delivery);
  // A delivery ran out of time: if anything is still queued here, nobody waits until it is done.
  void MarkLate();

 private:
  struct Item {
    std::shared_ptr<Delivery> delivery;
    // Done when this is delivered: it, where it is waited for, and what it stands for.
    std::vector<std::shared_ptr<Delivery>> waited_for = {};
  };

  // All that is queued becomes one delivery: anything may have changed.
  void Collapse();
  void Work();

  const SessionId session_;
  CacheListener& listener_;
  std::mutex mutex_;  // guards the rest
  std::condition_variable wake_;
  std::deque<Item> queue_;
  bool busy_ = false, late_ = false, stopping_ = false;
  std::thread thread_;
};

}  // namespace pxfs::meta
