// The mounts of a cluster on this node, one file each in CLUSTER/run/mounts/ (docs/formats.md). A
// mount's supervisor names the file; a file whose supervisor is gone counts for nothing and is
// removed when somebody lists.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace pxfs {

struct MountRecord {
  std::string mountpoint;  // absolute
  pid_t supervisor_pid = 0;
  uint64_t supervisor_started = 0;  // StartOfProcess, from WriteMountRecord
  pid_t daemon_pid = 0;
  std::string version;    // of the program
  std::string transport;  // "dev_fuse", ...
  bool passthrough = false;
  bool root_squash = false;
  bool serves_cluster = false;  // its daemon hosts the cluster's services (embedded)
};

// When a process began, in ticks since the machine did; with its number it names a process for
// good. 0: there is none.
uint64_t StartOfProcess(pid_t pid);
// Whether the process that had this number and start still runs.
bool IsAlive(pid_t pid, uint64_t started);

// Where the supervisor of a mount takes orders: a Unix socket (cli/mount_control.h).
std::string MountControlPath(const std::string& run_directory, pid_t supervisor_pid);

Status WriteMountRecord(const std::string& run_directory, const MountRecord& record);
void RemoveMountRecord(const std::string& run_directory, pid_t supervisor_pid);
// Of living supervisors only.
std::vector<MountRecord> ListMountRecords(const std::string& run_directory);

}  // namespace pxfs
