#include "volumes/idle_priority.h"

#include <sys/resource.h>
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
  // Source: sched(7): each level is worth a tenth of the processor more or less, this one a tenth
  // of what an ordinary thread gets. 0 is the calling thread.
  constexpr int kNice = 10;
  if (::setpriority(PRIO_PROCESS, 0, kNice) != 0)
    log::warn("copying at ordinary priority: {}", std::strerror(errno));
}

}  // namespace pxfs::volumes
