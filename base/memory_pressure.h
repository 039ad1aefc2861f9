// MemoryPressure: notices that programs have to wait for memory, which those with caches can give
// back. The kernel says so (PSI: Documentation/accounting/psi.rst).
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/poll_thread.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace pxfs {

class MemoryPressure {
 public:
  // Calls `relieve`, from a thread of its own, when programs of the machine, or of this process's
  // cgroup, were kept waiting for memory for a tenth of the last two seconds; once in two seconds
  // at most. The watch's end waits for that call. kNotSupported: the kernel does not tell.
  static Result<std::unique_ptr<MemoryPressure>> Watch(std::function<void()> relieve);
  // The same whenever poll(2) finds POLLPRI at one of `triggers`.
  static Result<std::unique_ptr<MemoryPressure>> Watch(std::vector<UniqueFd> triggers,
                                                       std::function<void()> relieve);

 private:
  MemoryPressure() = default;

  std::vector<UniqueFd> triggers_;
  std::unique_ptr<PollThread> thread_;
};

}  // namespace pxfs
