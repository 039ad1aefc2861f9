// The daemon of a mount: opens the cluster, serves it to others where nobody does yet, mounts (the
// first daemon) or goes on (a successor), and answers requests until the file system is unmounted.
#pragma once

#include "mount_helpers/options.h"

namespace pxfs::mount_helpers {

// Uses the descriptors of mount_helpers/supervisor.h. Returns the process's exit status: 0 once
// unmounted.
int RunDaemon(const MountOptions& options);

}  // namespace pxfs::mount_helpers
