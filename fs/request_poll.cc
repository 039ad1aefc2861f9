#include "fs/request_poll.h"

#include <poll.h>
#include <sched.h>

#include <utility>

namespace pxfs::fs {

void RequestPoll::Wait(int fd) {
  using Clock = std::chrono::steady_clock;
  thread_local int backing_off = 0;
  if (backing_off > 0) {
    --backing_off;
    return;
  }
  if (places_.fetch_sub(1, std::memory_order_relaxed) > 0) {
    pollfd readable{fd, POLLIN, 0};
    const auto start = Clock::now();
    for (auto now = start; now - start < kPatience && ::poll(&readable, 1, 0) == 0;) {
      ::sched_yield();
      const auto before = std::exchange(now, Clock::now());
      if (now - before > kLostProcessor) backing_off = kBackOff;
    }
  }
  places_.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace pxfs::fs
