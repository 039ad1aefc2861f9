#include "cli/volume_lookup.h"

namespace pxfs::cli {

Result<meta::VolumeInfo> FindVolumeByName(Cluster& cluster, const std::string& name) {
  PXFS_ASSIGN(const std::vector<meta::VolumeInfo> listed, cluster.metadata().ListVolumes());
  for (const meta::VolumeInfo& volume : listed)
    if (volume.name == name) return volume;
  return Fail(Code::kNotFound, name + ": no such volume; 'pxfs volume ls' shows them");
}

}  // namespace pxfs::cli
