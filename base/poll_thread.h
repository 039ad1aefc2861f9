// PollThread: a thread that waits for events at descriptors, until it is destroyed.
#pragma once

#include <poll.h>

#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pxfs {

class PollThread {
 public:
  // Calls `look`, from a thread of its own: at first as things are, with no event set, then
  // whenever poll(2) has found events. It may set descriptors to -1, which are then passed over;
  // false: it wants to be called no more. The descriptors are the caller's, who keeps them open.
  using Look = std::function<bool(std::span<pollfd> events)>;
  static Result<std::unique_ptr<PollThread>> Start(std::vector<pollfd> events, Look look);
  // Waits for `look` if it runs, so it must not be destroyed there.
  ~PollThread();
  PollThread(const PollThread&) = delete;
  PollThread& operator=(const PollThread&) = delete;

 private:
  PollThread(std::vector<pollfd> events, Look look, UniqueFd stop);
  void Loop();

  std::vector<pollfd> events_;  // the last one is stop_
  const Look look_;
  const UniqueFd stop_;  // an eventfd
  std::thread thread_;
};

}  // namespace pxfs
