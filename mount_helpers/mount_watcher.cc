#include "mount_helpers/mount_watcher.h"

#include <fcntl.h>

#include <fstream>
#include <sstream>

#include "base/cluster_directory.h"

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
  const int watched = FindMountOn(mountpoint).id;
  if (watched == 0) return Fail(Code::kNotFound, mountpoint + ": not a mount point");
  const auto look = [watched, options = std::move(options), gone = std::move(gone),
                     last = std::string()](std::span<pollfd>) mutable {
    Found now = FindMount([&](int id, const std::string&) { return id == watched; });
    if (now.id == 0)
      gone();
    else if (now.options != last)
      options(last = std::move(now.options));
    return now.id != 0;
  };
  // The kernel signals a change of the mount table as an exceptional condition.
  PXFS_ASSIGN(watcher->thread_, PollThread::Start({{watcher->mounts_.get(), POLLPRI, 0}}, look));
  return watcher;
}

}  // namespace pxfs::mount_helpers
