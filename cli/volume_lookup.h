// Volumes by the names that people give.
#pragma once

#include <string>

#include "cli/cluster.h"

namespace pxfs::cli {

// kNotFound says how to list them.
Result<meta::VolumeInfo> FindVolumeByName(Cluster& cluster, const std::string& name);

}  // namespace pxfs::cli
