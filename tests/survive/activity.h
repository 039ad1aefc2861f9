// Something that a program does on a mount, over and over, and that must neither fail nor be wrong
// whatever becomes of the mount's daemon.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"

namespace pxfs::test {

class Activity {
 public:
  virtual ~Activity() = default;
  virtual std::string name() const = 0;
  // Once, before the steps. May block on the mount, as all below.
  virtual Status Prepare() { return {}; }
  // One round. Called until the work is stopped, at least once.
  virtual Status Step() = 0;
  // Once, after the steps, while the mount is still there: looks at what the whole of them led to.
  virtual Status Finish() { return {}; }
};

// Runs activities at the same time, each in a thread of its own; an activity ends with its first
// error.
class Activities {
 public:
  ~Activities() { Stop(); }

  // Prepares all, then starts all.
  Status Start(std::vector<std::unique_ptr<Activity>> activities);
  // Lets each finish its step and waits. Idempotent.
  void Stop();
  // Every activity has made a step since the last call of this, or has ended.
  bool AllMoved();
  // "NAME: what went wrong", after Stop.
  std::vector<std::string> Problems() const;
  // "NAME: N steps", after Stop.
  std::vector<std::string> Summary() const;

 private:
  struct Running {
    std::unique_ptr<Activity> activity;
    std::atomic<uint64_t> steps{0};
    std::atomic<bool> ended{false};
    uint64_t seen = 0;
    Status outcome;
    std::thread thread;
  };
  void Run(Running& running);

  std::atomic<bool> stop_{false};
  std::vector<std::unique_ptr<Running>> running_;
};

}  // namespace pxfs::test
