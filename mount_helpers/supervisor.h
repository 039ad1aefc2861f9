// The supervisor of a mount: a small process that holds /dev/fuse and the connection's state, and
// starts a daemon that serves them. When the daemon dies without having been unmounted, it starts
// the next one, which goes on where the dead one was. It does nothing else, so that nothing makes
// it die.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "mount_helpers/options.h"

namespace pxfs::mount_helpers {

// The descriptors a daemon inherits, at these numbers.
inline constexpr int kDeviceFd = 3;  // /dev/fuse
inline constexpr int kStateFd = 4;   // fs::ConnectionState
// A pipe that only the first daemon writes: lines that begin with kWarning, then one that is "ok"
// or what went wrong.
inline constexpr int kStatusFd = 5;
inline constexpr char kWarning[] = "warning: ";

// Runs until the file system is unmounted. `arguments` are those of mount.pxfs; `status` is where
// the first daemon reports. Returns the process's exit status.
int Supervise(const MountOptions& options, const std::vector<std::string>& arguments,
              UniqueFd status);

}  // namespace pxfs::mount_helpers
