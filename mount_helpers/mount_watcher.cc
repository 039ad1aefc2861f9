#include "mount_helpers/mount_watcher.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>

#include "base/cluster_directory.h"
#include "base/logging.h"

namespace pxfs::mount_helpers {
namespace {

constexpr const char* kMountInfo = "/proc/self/mountinfo";

// The ids of this namespace's mounts that `matches` accepts, the newest last. Fields: proc(5).
template <typename Matches>
int FindMount(Matches matches) {
  int found = 0;
  std::ifstream file(kMountInfo);
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    int id = 0, parent = 0;
    std::string device, root, mountpoint;
    if (fields >> id >> parent >> device >> root >> mountpoint &&
        matches(id, UnescapeMountField(mountpoint)))
      found = id;
  }
  return found;
}

}  // namespace

Result<std::unique_ptr<MountWatcher>> MountWatcher::Start(const std::string& mountpoint,
                                                          std::function<void()> gone) {
  std::unique_ptr<MountWatcher> watcher(new MountWatcher());
  PXFS_ASSIGN(watcher->mounts_, OpenAt(AT_FDCWD, kMountInfo, O_RDONLY));
  watcher->stop_ = UniqueFd(::eventfd(0, EFD_CLOEXEC));
  if (!watcher->stop_) return FailErrno(errno, "eventfd");
  watcher->mount_id_ = FindMount([&](int, const std::string& at) { return at == mountpoint; });
  if (watcher->mount_id_ == 0) return Fail(Code::kNotFound, mountpoint + ": not a mount point");
  watcher->gone_ = std::move(gone);
  watcher->thread_ = std::thread([self = watcher.get()] { self->Loop(); });
  return watcher;
}

MountWatcher::~MountWatcher() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  if (::write(stop_.get(), &one, sizeof one) < 0) log::error("stopping the mount watcher failed");
  thread_.join();
}

void MountWatcher::Loop() {
  for (;;) {
    if (FindMount([&](int id, const std::string&) { return id == mount_id_; }) == 0) return gone_();
    // The kernel signals a change of the mount table as an exceptional condition.
    pollfd events[] = {{mounts_.get(), POLLPRI, 0}, {stop_.get(), POLLIN, 0}};
    while (::poll(events, 2, -1) < 0 && errno == EINTR) {
    }
    if (events[1].revents != 0) return;
  }
}

}  // namespace pxfs::mount_helpers
