// fusermount3(1), the set-id program by which ordinary users mount and unmount FUSE file systems.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pxfs::mount_helpers {

// Mounts on `mountpoint`; `options` as after -o. Returns /dev/fuse, whose other end the mount is.
// kNotFound: there is no such program; kNotPermitted: its own words, one line. Blocks until it has
// ended. Thread-safe.
Result<UniqueFd> MountByFusermount(const std::string& mountpoint, const std::string& options);

// The reverse. `lazy`: as umount -l. Errors as above.
Status UnmountByFusermount(const std::string& mountpoint, bool lazy);

}  // namespace pxfs::mount_helpers
