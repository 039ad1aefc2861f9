#include "meta/remote/invalidation_channel.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "base/logging.h"
#include "meta/remote/codec_lists.h"

namespace pxfs::meta::remote {

using std::chrono::steady_clock;

Result<std::shared_ptr<InvalidationChannel>> InvalidationChannel::Make() {
  uint64_t id = 0;
  while (id == 0)
    if (::getrandom(&id, sizeof id, 0) != sizeof id) return FailErrno(errno, "getrandom");
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return FailErrno(errno, "eventfd");
  return std::make_shared<InvalidationChannel>(id, std::move(wake));
}

void InvalidationChannel::Deliver(Source& source, std::span<const Invalidation> items) {
  std::unique_lock lock(mutex_);
  const uint64_t sequence = ++last_;
  batches_.push_back({sequence, source.listener, {items.begin(), items.end()}});
  items_ += items.size();
  if (items_ > kMaxItems) Collapse();
  Wake();
  changed_.wait(lock, [&] {
    return acknowledged_ >= sequence || !connected_ || stopping_ || source.released;
  });
}

void InvalidationChannel::Release(Source& source) {
  std::lock_guard lock(mutex_);
  source.released = true;
  changed_.notify_all();
}

// Everything that is queued becomes one batch for each listener.
void InvalidationChannel::Collapse() {
  std::set<uint64_t> listeners;
  for (const Batch& batch : batches_) listeners.insert(batch.listener);
  log::warn("a client is {} invalidations behind; it will drop all that it caches", items_);
  batches_.clear();
  for (const uint64_t listener : listeners)
    batches_.push_back({last_, listener, {{Invalidation::Kind::kAll, {}, {}}}});
  items_ = batches_.size();
}

void InvalidationChannel::Poll(const pb::WatchRequest& request, int socket,
                               std::chrono::milliseconds wait, pb::WatchReply& reply) {
  const auto deadline = steady_clock::now() + wait;
  std::unique_lock lock(mutex_);
  const uint64_t poll = ++polls_;
  Wake();  // an earlier poll is over
  connected_ = true;
  if (request.channel() == id_)
    acknowledged_ = std::max(acknowledged_, std::min(request.acknowledged(), last_));
  while (!batches_.empty() && batches_.front().sequence <= acknowledged_) {
    items_ -= batches_.front().items.size();
    batches_.pop_front();
  }
  changed_.notify_all();
  while (batches_.empty() && poll == polls_ && !stopping_) {
    lock.unlock();
    const bool woken = Sleep(socket, deadline);
    lock.lock();
    if (!woken) break;
  }
  reply.set_channel(id_);
  reply.set_sequence(acknowledged_);
  if (poll != polls_) return;  // the later poll has the batches
  size_t sent = 0;
  for (const Batch& batch : batches_) {
    // Batches of one sequence number go together, as they are acknowledged together.
    if (sent >= kMaxItemsSent && batch.sequence != reply.sequence()) break;
    pb::WatchReply::Batch& added = *reply.add_batches();
    added.set_listener(batch.listener);
    EncodeList(*added.mutable_items(), batch.items);
    reply.set_sequence(batch.sequence);
    sent += batch.items.size();
  }
}

void InvalidationChannel::SetConnected(bool connected) {
  std::lock_guard lock(mutex_);
  connected_ = connected;
  changed_.notify_all();
}

void InvalidationChannel::Stop() {
  std::lock_guard lock(mutex_);
  stopping_ = true;
  Wake();
  changed_.notify_all();
}

void InvalidationChannel::Wake() {
  // It cannot fail: the counter is far from its end, since every poll takes it back to 0.
  if (::eventfd_write(wake_.get(), 1) != 0)
    log::error("eventfd: {}", ErrnoError(errno, "write").message());
}

bool InvalidationChannel::Sleep(int socket, steady_clock::time_point deadline) {
  pollfd fds[] = {{wake_.get(), POLLIN, 0}, {socket, POLLRDHUP, 0}};
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now()).count();
    const int ready = ::poll(fds, 2, static_cast<int>(std::max<int64_t>(left, 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) log::error("poll: {}", ErrnoError(errno, "poll").message());
    if (ready <= 0 || fds[1].revents != 0) return false;
    eventfd_t count;
    return ::eventfd_read(wake_.get(), &count) == 0 || errno == EAGAIN;
  }
}

}  // namespace pxfs::meta::remote
