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
  if (queue_.size() >= kMaxQueued) Collapse();
  Item item{std::move(delivery)};
  if (!late_) {
    item.delivery->Expect();
    item.waited_for.push_back(item.delivery);
  }
  queue_.push_back(std::move(item));
  wake_.notify_one();
}

// Orphans stay, since only by these the session knows that it has to give them up.
void ListenerQueue::Collapse() {
  log::warn("session {} is {} changes behind; it will drop all that it caches", session_.value,
            queue_.size());
  std::vector<Invalidation> items = {{Invalidation::Kind::kAll, {}, {}}};
  Item all;
  for (Item& item : queue_) {
    for (const Invalidation& one : item.delivery->items())
      if (one.kind == Invalidation::Kind::kOrphaned) items.push_back(one);
    all.waited_for.insert(all.waited_for.end(), item.waited_for.begin(), item.waited_for.end());
  }
  all.delivery = std::make_shared<Delivery>(std::move(items));
  queue_.clear();
  queue_.push_back(std::move(all));
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
    for (const auto& waited_for : item.waited_for) waited_for->Done();
    lock.lock();
    busy_ = false;
    if (queue_.empty()) late_ = false;
  }
}

}  // namespace pxfs::meta
