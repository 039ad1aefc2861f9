#include "volumes/idle_priority.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/logging.h"

namespace pxfs::volumes {

// Source: ioprio_set(2).
void BeIdle() {
  constexpr int kProcess = 1, kIdleClass = 3, kClassShift = 13;
  if (::syscall(SYS_ioprio_set, kProcess, 0, kIdleClass << kClassShift) != 0)
    log::warn("copying at ordinary I/O priority: {}", std::strerror(errno));
}

}  // namespace pxfs::volumes
