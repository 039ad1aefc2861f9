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

struct Found {
  int id = 0;  // 0: none
  std::string options;
};

// The newest of this namespace's mounts that `matches` accepts. Fields: proc(5).
template <typename Matches>
Found FindMount(Matches matches) {
  Found found;
  std::ifstream file(kMountInfo);
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    int id = 0, parent = 0;
    std::string device, root, mountpoint, options;
    if (fields >> id >> parent >> device >> root >> mountpoint >> options &&
        matches(id, UnescapeMountField(mountpoint)))
      found = {id, std::move(options)};
  }
  return found;
}

Found FindMountOn(const std::string& mountpoint) {
  return FindMount([&](int, const std::string& at) { return at == mountpoint; });
}

}  // namespace

Result<std::string> OptionsOfMount(const std::string& mountpoint) {
  Found found = FindMountOn(mountpoint);
  if (found.id == 0) return Fail(Code::kNotFound, mountpoint + ": not a mount point");
  return std::move(found.options);
}

Result<std::unique_ptr<MountWatcher>> MountWatcher::Start(
    const std::string& mountpoint, std::function<void(const std::string&)> options,
    std::function<void()> gone) {
  std::unique_ptr<MountWatcher> watcher(new MountWatcher());
  PXFS_ASSIGN(watcher->mounts_, OpenAt(AT_FDCWD, kMountInfo, O_RDONLY));
  watcher->stop_ = UniqueFd(::eventfd(0, EFD_CLOEXEC));
  if (!watcher->stop_) return FailErrno(errno, "eventfd");
  watcher->mount_id_ = FindMountOn(mountpoint).id;
  if (watcher->mount_id_ == 0) return Fail(Code::kNotFound, mountpoint + ": not a mount point");
  watcher->options_ = std::move(options);
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
  std::string options;
  for (;;) {
    const Found now = FindMount([&](int id, const std::string&) { return id == mount_id_; });
    if (now.id == 0) return gone_();
    if (now.options != options) options_(options = now.options);
    // The kernel signals a change of the mount table as an exceptional condition.
    pollfd events[] = {{mounts_.get(), POLLPRI, 0}, {stop_.get(), POLLIN, 0}};
    while (::poll(events, 2, -1) < 0 && errno == EINTR) {
    }
    if (events[1].revents != 0) return;
  }
}

}  // namespace pxfs::mount_helpers
