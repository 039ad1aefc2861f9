#include "base/memory_pressure.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>
#include <string>
#include <utility>

#include "base/logging.h"

namespace pxfs {
namespace {

// Microseconds of waiting, by some task, within a window, which has to be a multiple of two seconds
// for a process without CAP_SYS_RESOURCE.
constexpr char kTrigger[] = "some 200000 2000000";

// Where this process's own share of the memory is accounted, if it has one (cgroup v2).
std::string PressureOfCgroup() {
  const auto groups = ReadFile("/proc/self/cgroup");
  std::istringstream lines(groups ? *groups : "");
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("0::")) return "/sys/fs/cgroup" + line.substr(3) + "/memory.pressure";
  return "";
}

}  // namespace

Result<std::unique_ptr<MemoryPressure>> MemoryPressure::Watch(std::function<void()> relieve) {
  std::vector<UniqueFd> triggers;
  for (const std::string& file : {std::string("/proc/pressure/memory"), PressureOfCgroup()}) {
    auto trigger = OpenAt(AT_FDCWD, file, O_RDWR | O_NONBLOCK);
    // With its terminating zero, as the kernel wants it.
    if (trigger && ::write(trigger->get(), kTrigger, sizeof kTrigger) > 0)
      triggers.push_back(std::move(*trigger));
  }
  if (triggers.empty()) return Fail(Code::kNotSupported, "the kernel has no pressure information");
  return Watch(std::move(triggers), std::move(relieve));
}

Result<std::unique_ptr<MemoryPressure>> MemoryPressure::Watch(std::vector<UniqueFd> triggers,
                                                              std::function<void()> relieve) {
  std::unique_ptr<MemoryPressure> self(new MemoryPressure());
  self->triggers_ = std::move(triggers);
  self->relieve_ = std::move(relieve);
  self->stop_ = UniqueFd(::eventfd(0, EFD_CLOEXEC));
  if (!self->stop_) return FailErrno(errno, "eventfd");
  self->thread_ = std::thread([watch = self.get()] { watch->Loop(); });
  return self;
}

MemoryPressure::~MemoryPressure() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  if (::write(stop_.get(), &one, sizeof one) < 0) log::error("ending the watch of memory failed");
  thread_.join();
}

void MemoryPressure::Loop() {
  std::vector<pollfd> events;
  for (const UniqueFd& trigger : triggers_) events.push_back({trigger.get(), POLLPRI, 0});
  events.push_back({stop_.get(), POLLIN, 0});
  while (events.back().revents == 0) {
    if (::poll(events.data(), events.size(), -1) < 0) continue;  // interrupted
    bool pressed = false;
    for (size_t i = 0; i + 1 < events.size(); ++i) {
      pressed |= (events[i].revents & POLLPRI) != 0;
      if ((events[i].revents & POLLERR) != 0) events[i].fd = -1;  // its cgroup is gone
    }
    if (pressed) relieve_();
  }
}

}  // namespace pxfs
