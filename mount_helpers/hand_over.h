// HandOverWatcher: waits for the supervisor's order to end in favour of a next daemon.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pxfs::mount_helpers {

// The exit status of a daemon that has followed the order.
inline constexpr int kHandedOver = 3;

class HandOverWatcher {
 public:
  // Calls `hand_over` once, from a thread of its own, when a byte arrives at `orders`.
  static Result<std::unique_ptr<HandOverWatcher>> Start(UniqueFd orders,
                                                        std::function<void()> hand_over);
  // Waits for `hand_over` if it has begun.
  ~HandOverWatcher();
  HandOverWatcher(const HandOverWatcher&) = delete;
  HandOverWatcher& operator=(const HandOverWatcher&) = delete;

  bool began() const { return began_; }

 private:
  HandOverWatcher() = default;
  void Wait();

  UniqueFd orders_, stop_;
  std::function<void()> hand_over_;
  std::atomic<bool> began_{false};
  std::thread thread_;
};

}  // namespace pxfs::mount_helpers
