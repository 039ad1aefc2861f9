#include "mount_helpers/hand_over.h"

#include <unistd.h>

namespace pxfs::mount_helpers {

Result<std::unique_ptr<HandOverWatcher>> HandOverWatcher::Start(UniqueFd orders,
                                                                std::function<void()> hand_over) {
  std::unique_ptr<HandOverWatcher> watcher(new HandOverWatcher());
  watcher->orders_ = std::move(orders);
  const auto look = [self = watcher.get(),
                     hand_over = std::move(hand_over)](std::span<pollfd> events) {
    if (events[0].revents == 0) return true;
    char order = 0;
    // The end of the pipe without an order is the end of the supervisor: nobody will give one.
    if (::read(events[0].fd, &order, 1) == 1) {
      self->began_ = true;
      hand_over();
    }
    return false;
  };
  PXFS_ASSIGN(watcher->thread_, PollThread::Start({{watcher->orders_.get(), POLLIN, 0}}, look));
  return watcher;
}

}  // namespace pxfs::mount_helpers
