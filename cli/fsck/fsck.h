// Checking and repairing a cluster that nobody serves: its metadata store, and the store against
// the objects on its volumes.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/cluster_directory.h"
#include "base/result.h"
#include "meta/finding.h"

namespace pxfs::cli {

struct FsckOptions {
  bool repair = false;
  std::chrono::milliseconds lock_wait{0};
};

// What was found, and of each whether it is repaired. An error: the check itself could not be done;
// kBusy: somebody serves the cluster; kCorruption: the store's files are damaged.
Result<std::vector<meta::Finding>> CheckCluster(const ClusterIdentity& identity,
                                                const FsckOptions& options);

}  // namespace pxfs::cli
