// HandOverWatcher: waits for the supervisor's order to end in favour of a next daemon.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "base/poll_thread.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace pxfs::mount_helpers {

// The exit status of a daemon that has followed the order.
inline constexpr int kHandedOver = 3;

class HandOverWatcher {
 public:
  // Calls `hand_over` once, from a thread of its own, when a byte arrives at `orders`. The
  // watcher's end waits for that call.
  static Result<std::unique_ptr<HandOverWatcher>> Start(UniqueFd orders,
                                                        std::function<void()> hand_over);
  bool began() const { return began_; }

 private:
  HandOverWatcher() = default;

  UniqueFd orders_;
  std::atomic<bool> began_{false};
  std::unique_ptr<PollThread> thread_;
};

}  // namespace pxfs::mount_helpers
