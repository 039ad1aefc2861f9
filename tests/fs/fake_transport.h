// What the FUSE client needs of a kernel, without one.
#pragma once

#include <gtest/gtest.h>

#include <mutex>
#include <set>
#include <string>

#include "fs/transport.h"

namespace pxfs::fs {

// A kernel that has passthrough or not, and does nothing else.
class FakeTransport final : public Transport {
 public:
  explicit FakeTransport(bool passthrough) : passthrough_(passthrough) {}

  Status Attach(fuse_session*) override { return {}; }
  Status Serve(const std::function<void()>&) override { return {}; }
  Status Drain(std::chrono::milliseconds) override { return {}; }
  Capabilities capabilities() const override { return {passthrough_, true}; }
  std::string name() const override { return "fake"; }
  Result<int32_t> OpenBacking(int) override {
    std::lock_guard lock(mutex_);
    backings_.insert(++last_);
    return last_;
  }
  void CloseBacking(int32_t id) override {
    std::lock_guard lock(mutex_);
    EXPECT_EQ(backings_.erase(id), 1u);
  }
  void InvalidateAttributes(uint64_t) override {}
  Status ExpireAllNames() override { return {}; }

  size_t backings() const {
    std::lock_guard lock(mutex_);
    return backings_.size();
  }

 private:
  const bool passthrough_;
  mutable std::mutex mutex_;
  std::set<int32_t> backings_;
  int32_t last_ = 0;
};

}  // namespace pxfs::fs
