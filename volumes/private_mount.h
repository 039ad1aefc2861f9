// A mount of a directory's file system that nobody else sees, to have one's own rule for access
// times: what is opened through it obeys that rule, and so does what the kernel reads from it for
// passthrough.
#pragma once

#include "base/access_times.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace pxfs::volumes {

// A descriptor for *at() calls, of the same directory; the mount lasts as long as it and what was
// opened through it. Else it is like the mount that the directory is reached by (read-only, noexec,
// ...), as that is now. kNotPermitted without CAP_SYS_ADMIN.
Result<UniqueFd> MakePrivateMount(int directory_fd, const AccessTimes& rule);

// Changes the rule, also for what is open already.
Status SetAccessTimes(int private_mount_fd, const AccessTimes& rule);

}  // namespace pxfs::volumes
