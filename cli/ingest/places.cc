#include "cli/ingest/places.h"

#include <algorithm>
#include <filesystem>

#include "cli/paths.h"

namespace pxfs::cli {

Places::Places(Cluster& cluster) : cluster_directory_(cluster.identity().directory) {
  struct stat st;
  if (::stat(cluster_directory_.c_str(), &st) == 0)
    own_[{st.st_dev, st.st_ino}] = "the cluster directory";
  for (const auto& volume : cluster.volumes().All()) {
    if (::fstat(volume->root_fd(), &st) != 0) continue;  // not reachable: nothing is adopted there
    own_[{st.st_dev, st.st_ino}] = "the volume " + volume->name() + " of this cluster";
    const auto info = cluster.volumes().Info(volume->id());
    if (info && info->state == meta::VolumeState::kOnline)
      volumes_[st.st_dev].push_back(volume->id());
  }
  for (auto& [device, ids] : volumes_) std::sort(ids.begin(), ids.end());
}

std::string Places::OwnAbove(const std::string& path) const {
  const auto canonical = CanonicalPath(path);
  if (!canonical) return "";
  for (std::filesystem::path above = *canonical; above.has_relative_path();) {
    above = above.parent_path();
    struct stat st;
    if (::stat(above.c_str(), &st) != 0) continue;
    if (const auto it = own_.find({st.st_dev, st.st_ino}); it != own_.end()) return it->second;
  }
  return "";
}

bool Places::InCluster(const std::string& path) const {
  const auto canonical = CanonicalPath(path);
  return canonical && MountedClusterAt(*canonical) == cluster_directory_;
}

std::string Places::WhyNot(const std::string& path, const struct stat& st,
                           dev_t parent_device) const {
  if (const auto it = own_.find({st.st_dev, st.st_ino}); it != own_.end())
    return "is " + it->second + "; it is left out";
  if (parent_device == 0) {
    if (const std::string own = OwnAbove(path); !own.empty())
      return "lies in " + own + "; it is left out";
  }
  // The root of a source may lie in a mount of this cluster; that it does not contain the
  // destination has been seen to.
  if (parent_device != 0 && st.st_dev != parent_device &&
      MountedClusterAt(path) == cluster_directory_)
    return "is a mount of this cluster; it is left out";
  return "";
}

VolumeId Places::VolumeOn(dev_t device, uint64_t number) const {
  const auto it = volumes_.find(device);
  return it == volumes_.end() ? VolumeId() : it->second[number % it->second.size()];
}

}  // namespace pxfs::cli
