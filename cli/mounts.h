// The mounts of a cluster: each mount publishes one JSON file below CLUSTER/run/mounts.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/cluster_directory.h"
#include "base/result.h"

namespace pxfs::cli {

struct Mount {
  std::string mountpoint;
  pid_t supervisor_pid = 0, daemon_pid = 0;
  std::string transport;
  std::string passthrough;
};

// Those whose daemon lives. Files that a crash left behind, and damaged ones, are passed over.
Result<std::vector<Mount>> ListMounts(const ClusterIdentity& identity);

}  // namespace pxfs::cli
