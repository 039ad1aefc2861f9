// The cgroup of one container in every hierarchy that is mounted: version 1, 2 and hybrid.
//
// The runtime makes and joins it; this is for looking into it and for removing what a crash left.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace pxfs::jobs {

struct CgroupUsage {
  uint64_t peak_memory_bytes = 0;  // 0: not known
  uint64_t cpu_ns = 0;
  bool out_of_memory = false;  // the kernel killed something in it for its limit
};

class Cgroup {
 public:
  // name: one component, directly below the root of each hierarchy.
  explicit Cgroup(std::string name);

  const std::string& name() const { return name_; }
  // The OCI cgroupsPath.
  std::string oci_path() const { return "/" + name_; }
  bool Exists() const;
  std::vector<pid_t> Processes() const;
  CgroupUsage Usage() const;
  // Kills what is in it. Blocks until its processes are gone. kBusy if they do not go.
  Status Kill() const;
  // As Kill, and removes it everywhere.
  Status Destroy() const;

  // Names of all cgroups, in any hierarchy, that begin with `prefix`.
  static std::vector<std::string> List(const std::string& prefix);

 private:
  std::vector<std::string> Directories() const;  // those that exist

  std::string name_;
};

}  // namespace pxfs::jobs
