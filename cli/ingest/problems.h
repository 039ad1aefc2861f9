// What went wrong with single files while the rest goes on: the first ones are shown, the others
// counted.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

namespace pxfs::cli {

// Thread-safe.
class Problems {
 public:
  explicit Problems(std::function<void(const std::string&)> show) : show_(std::move(show)) {}

  void Add(const std::string& message) {
    std::lock_guard lock(mutex_);
    if (++count_ <= kShown) show_(message);
  }
  uint64_t count() const {
    std::lock_guard lock(mutex_);
    return count_;
  }
  uint64_t hidden() const {
    const uint64_t all = count();
    return all > kShown ? all - kShown : 0;
  }

 private:
  static constexpr uint64_t kShown = 10;

  const std::function<void(const std::string&)> show_;
  mutable std::mutex mutex_;  // guards count_, and orders what is shown
  uint64_t count_ = 0;
};

}  // namespace pxfs::cli
