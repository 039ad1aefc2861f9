#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <thread>

#include "base/bytes.h"
#include "cli/cluster.h"
#include "cli/paths.h"
#include "volumes/location.h"

namespace pxfs::cli {
namespace {

// What placement leaves free: a twentieth, but no more than this.
constexpr uint64_t kLargestReserve = uint64_t{1} << 30;

std::string FreeName(const std::set<std::string>& taken) {
  for (size_t i = taken.size() + 1;; ++i) {
    std::string name = "v" + std::to_string(i);
    if (!taken.contains(name)) return name;
  }
}

Status CheckPlace(const Cluster& cluster, const VolumeArgument& volume,
                  const std::vector<meta::VolumeInfo>& existing) {
  if (const std::string mounted = MountedClusterAt(volume.path); !mounted.empty())
    return Fail(Code::kInvalid, volume.path + ": lies in a mount of the cluster " + mounted +
                                    "; a volume needs a directory on a disk");
  nlohmann::json shown;
  volumes::SetText(shown, "path", volume.path);
  if (shown.size() != 1)
    return Fail(Code::kInvalid,
                volume.path + ": the path of a volume must be UTF-8; give another directory");
  const std::string& directory = cluster.identity().directory;
  if (IsWithin(directory, volume.path))
    return Fail(Code::kInvalid, volume.path + ": the cluster directory " + directory +
                                    " lies in it; give another directory");
  for (const char* own : {"/meta", "/run", "/jobs", "/log", "/cluster.json"}) {
    if (IsWithin(volume.path, directory + own))
      return Fail(Code::kInvalid,
                  volume.path + ": the cluster keeps its own data there; give another directory");
  }
  for (const meta::VolumeInfo& other : existing) {
    if (volume.path == other.path)
      return Fail(Code::kExists, volume.path + ": is the volume " + other.name + " already");
    if (IsWithin(volume.path, other.path) || IsWithin(other.path, volume.path))
      return Fail(Code::kInvalid, volume.path + ": overlaps the volume " + other.name + " at " +
                                      other.path + "; give another directory");
    if (volume.name == other.name)
      return Fail(Code::kExists, "volume name '" + volume.name + "': taken by " + other.path +
                                     "; choose another with name=N");
  }
  return {};
}

// Waits until whoever answers for the volumes has looked at this one, so that files can be placed
// there. Returns what is known of it then.
Result<meta::VolumeInfo> WaitUntilKnown(Cluster& cluster, const meta::VolumeInfo& added) {
  constexpr std::chrono::milliseconds kLookAgain{10}, kLongest{5000};
  const auto deadline = std::chrono::steady_clock::now() + kLongest;
  for (;;) {
    PXFS_ASSIGN(const std::vector<meta::VolumeInfo> listed, cluster.metadata().ListVolumes());
    for (const meta::VolumeInfo& volume : listed) {
      if (volume.id == added.id && (volume.total_bytes != 0 || !volume.problem.empty()))
        return volume;
    }
    // It is added in any case; a daemon that does not look at its volumes says so elsewhere.
    if (std::chrono::steady_clock::now() > deadline) return added;
    std::this_thread::sleep_for(kLookAgain);
  }
}

}  // namespace

Result<meta::VolumeInfo> AddVolume(Cluster& cluster, const VolumeArgument& argument) {
  PXFS_ASSIGN(const std::vector<meta::VolumeInfo> existing, cluster.metadata().ListVolumes());
  VolumeArgument volume = argument;
  if (volume.name.empty()) {
    std::set<std::string> taken;
    for (const meta::VolumeInfo& other : existing) taken.insert(other.name);
    volume.name = FreeName(taken);
  }
  PXFS_TRY(CheckPlace(cluster, volume, existing));

  const std::vector<std::string> new_directories = MissingDirectories(volume.path);
  const volumes::VolumeIdentity identity{cluster.identity().uuid, NewUuid(), volume.name};
  PXFS_TRY(volumes::Volume::Format(volume.path, identity));
  const auto add = [&]() -> Result<meta::VolumeInfo> {
    PXFS_ASSIGN(const auto opened, volumes::Volume::Open(VolumeId(), volume.path, identity));
    meta::VolumeInfo info;
    info.name = volume.name;
    info.uuid = identity.volume_uuid;
    info.path = volume.path;
    info.labels = volume.labels;
    info.reserve_bytes = std::min(opened->Inspect().total_bytes / 20, kLargestReserve);
    return cluster.metadata().AddVolume(info);
  };
  auto added = add();
  if (!added) {
    Error error = added.error();
    if (const auto undone = volumes::Volume::Unformat(volume.path, identity); !undone)
      error = Error(error.code(), error.message() + "; also, taking the volume back failed: " +
                                      undone.error().message());
    RemoveDirectories(new_directories);
    return Fail(error);
  }
  PXFS_TRY(cluster.metadata().Sync());
  PXFS_TRY(cluster.volumes().Refresh());
  return WaitUntilKnown(cluster, *added);
}

Result<std::vector<std::string>> VolumeWarnings(Cluster& cluster) {
  PXFS_ASSIGN(const std::vector<meta::VolumeInfo> listed, cluster.metadata().ListVolumes());
  std::map<dev_t, std::string> sharers;
  for (const meta::VolumeInfo& info : listed) {
    struct stat st;
    if (::stat(info.path.c_str(), &st) != 0) continue;  // offline, which is said elsewhere
    std::string& names = sharers[st.st_dev];
    names += (names.empty() ? "" : ", ") + info.name;
  }
  std::vector<std::string> warnings;
  for (const auto& [device, names] : sharers) {
    if (names.find(',') != std::string::npos)
      warnings.push_back("volumes " + names +
                         " share one file system: they share its space and its failures");
  }
  return warnings;
}

}  // namespace pxfs::cli
