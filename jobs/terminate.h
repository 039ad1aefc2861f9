// Ending a container from outside.
#pragma once

#include <chrono>

#include "base/result.h"
#include "base/unique_fd.h"
#include "jobs/cgroup.h"

namespace pxfs::jobs {

// SIGTERM to every process, then SIGKILL to what is left after `grace`. There is no grace if no
// process catches SIGTERM: then it would mean the end for an ordinary process, but the kernel keeps
// it from the first one of a container. Returns once the container's processes are gone.
Status Terminate(const Cgroup& cgroup, std::chrono::milliseconds grace);

}  // namespace pxfs::jobs
