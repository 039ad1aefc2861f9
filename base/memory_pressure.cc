#include "base/memory_pressure.h"

#include <fcntl.h>
#include <unistd.h>

#include <sstream>
#include <string>
#include <utility>

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
  std::vector<pollfd> events;
  for (const UniqueFd& trigger : self->triggers_) events.push_back({trigger.get(), POLLPRI, 0});
  const auto look = [relieve = std::move(relieve)](std::span<pollfd> found) {
    bool pressed = false;
    for (pollfd& event : found) {
      pressed |= (event.revents & POLLPRI) != 0;
      if ((event.revents & POLLERR) != 0) event.fd = -1;  // its cgroup is gone
    }
    if (pressed) relieve();
    return true;
  };
  PXFS_ASSIGN(self->thread_, PollThread::Start(std::move(events), look));
  return self;
}

}  // namespace pxfs
