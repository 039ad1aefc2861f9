#include "meta/listener_queue.h"

#include <utility>

#include "base/logging.h"

namespace pxfs::meta {

void Delivery::Expect() {
  std::lock_guard lock(mutex_);
  ++outstanding_;
}

void Delivery::Done() {
  std::lock_guard lock(mutex_);
  if (--outstanding_ == 0) all_done_.notify_all();
}

bool Delivery::Wait(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return all_done_.wait_for(lock, timeout, [&] { return outstanding_ == 0; });
}

ListenerQueue::ListenerQueue(SessionId session, CacheListener& listener)
    : session_(session), listener_(listener), thread_([this] { Work(); }) {}

void ListenerQueue::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void ListenerQueue::Post(std::shared_ptr<Delivery> delivery) {
  std::lock_guard lock(mutex_);
  if (stopping_) return;
  if (queue_.size() >= kMaxQueued) {
    log::error("session {} does not drop its caches; it may show names that are gone",
               session_.value);
    return;
  }
  if (!late_) delivery->Expect();
  queue_.push_back({std::move(delivery), !late_});
  wake_.notify_one();
}

void ListenerQueue::MarkLate() {
  std::lock_guard lock(mutex_);
  if (late_ || (queue_.empty() && !busy_)) return;
  late_ = true;
  log::warn("session {} is slow to drop its caches; not waiting for it any more", session_.value);
}

void ListenerQueue::Work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const Item item = std::move(queue_.front());
    queue_.pop_front();
    // Once stopping, nothing needs to be dropped any more, but those who wait must go on.
    const bool deliver = !stopping_;
    busy_ = true;
    lock.unlock();
    if (deliver) listener_.Invalidate(item.delivery->items());
    if (item.waited_for) item.delivery->Done();
    lock.lock();
    busy_ = false;
    if (queue_.empty()) late_ = false;
  }
}

}  // namespace pxfs::meta
