#include "mount_helpers/mount_watcher.h"

#include <fcntl.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "base/cluster_directory.h"

namespace pxfs::mount_helpers {
namespace {

constexpr const char* kMountInfo = "/proc/self/mountinfo";

struct Found {
  int id = 0;          // 0: none
  std::string device;  // "0:53"
  std::string options;
};

// The newest mount that `matches` accepts, of the namespace that `mountinfo` shows. Fields:
// proc(5).
template <typename Matches>
Found FindMount(Matches matches, const std::string& mountinfo = kMountInfo) {
  Found found;
  std::ifstream file(mountinfo);
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    int parent = 0;
    std::string root, mountpoint;
    Found mount;
    if (fields >> mount.id >> parent >> mount.device >> root >> mountpoint >> mount.options &&
        matches(mount, UnescapeMountField(mountpoint)))
      found = std::move(mount);
  }
  return found;
}

Found FindMountOn(const std::string& mountpoint) {
  return FindMount([&](const Found&, const std::string& at) { return at == mountpoint; });
}

}  // namespace

Result<std::string> OptionsOfMount(const std::string& mountpoint) {
  Found found = FindMountOn(mountpoint);
  if (found.id == 0) return Fail(Code::kNotFound, mountpoint + ": not a mount point");
  return std::move(found.options);
}

std::string WhoElseHasMounted(const std::string& device) {
  std::string holders;
  std::set<std::string> namespaces;
  const auto namespace_of = [](const std::string& process) {
    std::error_code error;  // it has ended meanwhile, or is not ours to look at
    return std::filesystem::read_symlink("/proc/" + process + "/ns/mnt", error).string();
  };
  namespaces.insert(namespace_of("self"));
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string process = entry.path().filename();
    if (process.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string name_space = namespace_of(process);
    if (name_space.empty() || !namespaces.insert(name_space).second) continue;
    const Found mount =
        FindMount([&](const Found& found, const std::string&) { return found.device == device; },
                  "/proc/" + process + "/mountinfo");
    if (mount.id == 0) continue;
    const auto name = ReadFile("/proc/" + process + "/comm");
    holders += (holders.empty() ? "" : ", ") + process + " (" +
               (name ? name->substr(0, name->find('\n')) : "?") + ")";
  }
  return holders;
}

Result<std::unique_ptr<MountWatcher>> MountWatcher::Start(
    const std::string& mountpoint, std::function<void(const std::string&)> options,
    std::function<void(const std::string&)> gone) {
  std::unique_ptr<MountWatcher> watcher(new MountWatcher());
  PXFS_ASSIGN(watcher->mounts_, OpenAt(AT_FDCWD, kMountInfo, O_RDONLY));
  Found watched = FindMountOn(mountpoint);
  if (watched.id == 0) return Fail(Code::kNotFound, mountpoint + ": not a mount point");
  const auto look = [watched = std::move(watched), options = std::move(options),
                     gone = std::move(gone), last = std::string()](std::span<pollfd>) mutable {
    Found now =
        FindMount([&](const Found& mount, const std::string&) { return mount.id == watched.id; });
    if (now.id == 0)
      gone(watched.device);
    else if (now.options != last)
      options(last = std::move(now.options));
    return now.id != 0;
  };
  // The kernel signals a change of the mount table as an exceptional condition.
  PXFS_ASSIGN(watcher->thread_, PollThread::Start({{watcher->mounts_.get(), POLLPRI, 0}}, look));
  return watcher;
}

}  // namespace pxfs::mount_helpers
