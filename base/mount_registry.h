// The mounts of a cluster on this node, one file each in CLUSTER/run/mounts/ (docs/formats.md). A
// mount's supervisor names the file; a file whose supervisor is gone counts for nothing and is
// removed when somebody lists.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"

namespace pxfs {

struct MountRecord {
  std::string mountpoint;  // absolute
  pid_t supervisor_pid = 0;
  pid_t daemon_pid = 0;
  std::string transport;  // "dev_fuse", ...
  bool passthrough = false;
  bool serves_cluster = false;  // its daemon hosts the cluster's services (embedded)
};

Status WriteMountRecord(const std::string& run_directory, const MountRecord& record);
void RemoveMountRecord(const std::string& run_directory, pid_t supervisor_pid);
// Of living supervisors only.
std::vector<MountRecord> ListMountRecords(const std::string& run_directory);

}  // namespace pxfs
