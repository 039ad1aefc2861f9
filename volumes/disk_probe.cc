#include "volumes/disk_probe.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

#include "base/unique_fd.h"
#include "volumes/identity.h"

namespace pxfs::volumes {
namespace {

using Clock = std::chrono::steady_clock;

// A file system that has no such reads, or no such file, is not judged by this.
std::string ReadPastPageCache(int root_fd) {
  constexpr size_t kBlock = 4096;
  const UniqueFd fd(::openat(root_fd, kIdentityFile, O_RDONLY | O_DIRECT | O_CLOEXEC));
  if (!fd) return "";
  alignas(kBlock) char block[kBlock];
  if (::pread(fd.get(), block, sizeof block, 0) >= 0) return "";
  if (errno != EIO && errno != ENXIO && errno != ENODEV) return "";
  return std::string("its disk cannot be read: ") + std::strerror(errno);
}

}  // namespace

struct DiskProbe::State {
  std::mutex mutex;
  std::condition_variable done;
  // Guarded by mutex.
  bool running = false;
  Clock::time_point since{};
  std::string problem;  // that the last read which has ended found
};

DiskProbe::DiskProbe() : state_(std::make_shared<State>()) {}
DiskProbe::~DiskProbe() = default;

std::string DiskProbe::Look(int root_fd) {
  std::unique_lock lock(state_->mutex);
  if (!state_->running) {
    UniqueFd root(::fcntl(root_fd, F_DUPFD_CLOEXEC, 0));
    if (!root) return state_->problem;
    state_->running = true;
    state_->since = Clock::now();
    std::thread([state = state_, root = std::move(root)]() mutable {
      std::string problem = ReadPastPageCache(root.get());
      root.reset();  // whoever unmounts the volume after the answer finds it unused
      std::lock_guard lock(state->mutex);
      state->problem = std::move(problem);
      state->running = false;
      state->done.notify_all();
    }).detach();
  }
  state_->done.wait_for(lock, kPatience, [this] { return !state_->running; });
  if (state_->running && Clock::now() - state_->since >= kSilence)
    return "its disk does not answer";
  return state_->problem;
}

}  // namespace pxfs::volumes
