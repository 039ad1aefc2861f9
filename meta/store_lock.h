// The lock that makes one process the owner of a store: flock(2) on a file that names the owner's
// pid.
#pragma once

#include <chrono>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pxfs::meta {

// Held as long as the descriptor is open; the kernel drops it when the process dies.
// Waits up to `wait` for another owner to leave. kBusy names the owner's pid.
Result<UniqueFd> LockStore(const std::string& path, std::chrono::milliseconds wait);

}  // namespace pxfs::meta
