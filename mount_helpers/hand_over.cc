#include "mount_helpers/hand_over.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

#include "base/logging.h"

namespace pxfs::mount_helpers {

Result<std::unique_ptr<HandOverWatcher>> HandOverWatcher::Start(UniqueFd orders,
                                                                std::function<void()> hand_over) {
  std::unique_ptr<HandOverWatcher> watcher(new HandOverWatcher());
  watcher->orders_ = std::move(orders);
  watcher->stop_ = UniqueFd(::eventfd(0, EFD_CLOEXEC));
  if (!watcher->stop_) return FailErrno(errno, "eventfd");
  watcher->hand_over_ = std::move(hand_over);
  watcher->thread_ = std::thread([self = watcher.get()] { self->Wait(); });
  return watcher;
}

HandOverWatcher::~HandOverWatcher() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  if (::write(stop_.get(), &one, sizeof one) < 0) log::error("ending the wait for orders failed");
  thread_.join();
}

void HandOverWatcher::Wait() {
  pollfd events[] = {{orders_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
  while (::poll(events, 2, -1) < 0 && errno == EINTR) {
  }
  char order = 0;
  // The end of the pipe without an order is the end of the supervisor: nobody will give one.
  if (events[1].revents != 0 || ::read(orders_.get(), &order, 1) != 1) return;
  began_ = true;
  hand_over_();
}

}  // namespace pxfs::mount_helpers
