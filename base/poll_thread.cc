#include "base/poll_thread.h"

#include <sys/eventfd.h>

#include <cerrno>

#include "base/logging.h"

namespace pxfs {

Result<std::unique_ptr<PollThread>> PollThread::Start(std::vector<pollfd> events, Look look) {
  UniqueFd stop(::eventfd(0, EFD_CLOEXEC));
  if (!stop) return FailErrno(errno, "eventfd");
  return std::unique_ptr<PollThread>(
      new PollThread(std::move(events), std::move(look), std::move(stop)));
}

PollThread::PollThread(std::vector<pollfd> events, Look look, UniqueFd stop)
    : events_(std::move(events)), look_(std::move(look)), stop_(std::move(stop)) {
  events_.push_back({stop_.get(), POLLIN, 0});
  thread_ = std::thread([this] { Loop(); });
}

PollThread::~PollThread() {
  if (::eventfd_write(stop_.get(), 1) != 0)
    log::error("ending a wait: {}", ErrnoError(errno, "eventfd").message());
  thread_.join();
}

void PollThread::Loop() {
  const std::span<pollfd> watched(events_.data(), events_.size() - 1);
  while (look_(watched)) {
    while (::poll(events_.data(), events_.size(), -1) < 0 && errno == EINTR) {
    }
    if (events_.back().revents != 0) return;
  }
}

}  // namespace pxfs
