// umount.pxfs: unmounts and waits until everything that the mount had started has ended, which
// umount(8) does not.
#include <poll.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/cluster_directory.h"
#include "base/mount_registry.h"
#include "base/unique_fd.h"
#include "mount_helpers/fusermount.h"

namespace {

int Complain(const std::string& problem, int status = 1) {
  std::fprintf(stderr, "umount.pxfs: %s\n", problem.c_str());
  return status;
}

// The supervisor of the mount, as a pidfd; none where the mount is not registered.
pxfs::UniqueFd SupervisorOf(const std::string& mountpoint) {
  char cluster[PATH_MAX];
  const ssize_t n = ::getxattr(mountpoint.c_str(), "user.pxfs.cluster", cluster, sizeof cluster);
  if (n <= 0) return {};
  pxfs::ClusterIdentity identity;
  identity.directory.assign(cluster, static_cast<size_t>(n));
  for (const auto& record : pxfs::ListMountRecords(identity.run_directory())) {
    if (record.mountpoint == mountpoint)
      return pxfs::UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, record.supervisor_pid, 0)));
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  int flags = 0;
  std::string target;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "-l") {
      flags |= MNT_DETACH;
    } else if (argument == "-f") {
      flags |= MNT_FORCE;
    } else if (argument == "-n" || argument == "-v" || argument == "-r") {
      // umount(8) passes these on; they ask for nothing here.
    } else if (argument == "--help") {
      std::puts("usage: umount.pxfs [-l] [-f] MOUNTPOINT");
      return 0;
    } else if (argument[0] == '-' || !target.empty()) {
      return Complain(
          "unknown argument '" + argument + "'; usage: umount.pxfs [-l] [-f] MOUNTPOINT", 2);
    } else {
      target = argument;
    }
  }
  char mountpoint[PATH_MAX];
  if (target.empty()) return Complain("give the mount point", 2);
  if (!::realpath(target.c_str(), mountpoint))
    return Complain(target + ": " + std::strerror(errno));
  const pxfs::UniqueFd supervisor = SupervisorOf(mountpoint);
  if (::umount2(mountpoint, flags) != 0) {
    if (errno != EPERM || ::geteuid() == 0) return Complain(target + ": " + std::strerror(errno));
    const auto done =
        pxfs::mount_helpers::UnmountByFusermount(mountpoint, (flags & MNT_DETACH) != 0);
    if (!done) return Complain(done.error().message());
  }
  if (supervisor && (flags & MNT_DETACH) == 0) {
    pollfd ended{supervisor.get(), POLLIN, 0};
    while (::poll(&ended, 1, -1) < 0 && errno == EINTR) {
    }
  }
  return 0;
}
