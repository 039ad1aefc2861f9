// Prober: how long a program that uses a directory is kept waiting at most.
#pragma once

#include <chrono>
#include <string>

#include "tests/survive/activity.h"

namespace pxfs::test {

struct Stall {
  std::chrono::microseconds time{0};
  std::string call;  // the name of the system call
};

// Its step: stat, open, read and close a file, then create, write, close and unlink another.
class Prober final : public Activity {
 public:
  explicit Prober(std::string directory) : directory_(std::move(directory)) {}

  std::string name() const override { return "prober in " + directory_; }
  Status Prepare() override;
  Status Step() override;

  // The longest single call. After the steps.
  const Stall& longest() const { return longest_; }

 private:
  template <typename Call>
  auto Timed(const char* what, Call call);

  const std::string directory_;
  uint64_t round_ = 0;
  Stall longest_;
};

}  // namespace pxfs::test
