#include "cli/copy_warnings.h"

#include <sys/stat.h>

#include <set>

#include "meta/placement.h"

namespace pxfs::cli {

Result<std::vector<std::string>> CopyWarnings(Cluster& cluster, const meta::Policy& effective,
                                              uint32_t copies) {
  PXFS_ASSIGN(const std::vector<meta::VolumeInfo> volumes, cluster.metadata().ListVolumes());
  uint32_t able = 0;
  std::string others, names;
  std::set<dev_t> disks;
  for (const meta::VolumeInfo& volume : volumes) {
    const std::string separator = others.empty() ? "" : "; ";
    if (const Status suits = meta::SuitsPolicy(effective, volume); !suits) {
      others += separator + suits.error().message();
    } else if (const Status can = meta::CanTakeCopy(volume, 0); !can) {
      others += separator + can.error().message();
    } else {
      ++able;
      names += (names.empty() ? "" : ", ") + volume.name;
      struct stat st;
      if (::stat(volume.path.c_str(), &st) == 0) disks.insert(st.st_dev);
    }
  }
  std::vector<std::string> warnings;
  const std::string asked = std::to_string(copies) + " copies: ";
  if (copies > able)
    warnings.push_back(asked + "only " + std::to_string(able) +
                       " volume(s) can take one now, the rest waits (" + others + ")");
  if (copies > 1 && able > 1 && disks.size() == 1)
    warnings.push_back(
        asked + "volumes " + names +
        " share one file system, so they are lost together; add a volume on another disk");
  return warnings;
}

}  // namespace pxfs::cli
