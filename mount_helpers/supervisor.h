// The supervisor of a mount: a small process that holds /dev/fuse and the connection's state, and
// starts a daemon that serves them. When the daemon dies without having been unmounted, it starts
// the next one, which goes on where the dead one was. On demand (cli/mount_control.h) the next one
// is of another program, which this process then becomes as well. It does nothing else, so that
// nothing makes it die.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "mount_helpers/options.h"
#include "mount_helpers/program.h"

namespace pxfs::mount_helpers {

// Runs until the file system is unmounted. `arguments` are those of mount.pxfs; `status` is where
// the first daemon reports. Returns the process's exit status.
int Supervise(const MountOptions& options, const std::vector<std::string>& arguments,
              UniqueFd status);
// Goes on as the supervisor that this process was as another program.
int GoOnSupervising(const MountOptions& options, const std::vector<std::string>& arguments,
                    const SupervisorState& state);

}  // namespace pxfs::mount_helpers
