#include "tests/support/private_mounts.h"

#include <sched.h>
#include <sys/mount.h>

#include <cerrno>
#include <ranges>

#include "tests/support/mount_table.h"

namespace pxfs::test {

Status EnterPrivateMounts() {
  if (::unshare(CLONE_NEWNS) != 0) return FailErrno(errno, "unshare");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return FailErrno(errno, "making all mounts private");
  const auto mounts = MountTable();
  for (const MountEntry& mount : mounts | std::views::reverse) {
    if (mount.mountpoint.find("/pxfs-") == std::string::npos) continue;
    // EINVAL: it went with one above it.
    if (::umount2(mount.mountpoint.c_str(), MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT)
      return FailErrno(errno, "detaching " + mount.mountpoint);
  }
  return {};
}

}  // namespace pxfs::test
