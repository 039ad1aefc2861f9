// What of this host belongs to the cluster itself: places that are not brought in, and disks that
// files can be adopted on.
#pragma once

#include <sys/stat.h>

#include <map>
#include <string>
#include <vector>

#include "cli/cluster.h"

namespace pxfs::cli {

class Places {
 public:
  explicit Places(Cluster& cluster);

  // Why the file or directory `path` must be left out; empty: it need not. `parent_device`: of the
  // directory above; 0: `path` is a source of its own, and all that is above it is looked at.
  std::string WhyNot(const std::string& path, const struct stat& st, dev_t parent_device) const;
  // Whether `path` lies in a mount of this cluster.
  bool InCluster(const std::string& path) const;
  // One of the volumes on this device, the same for the same number; 0: there is none.
  VolumeId VolumeOn(dev_t device, uint64_t number) const;

 private:
  // What of the cluster's own `path` lies in; empty: nothing.
  std::string OwnAbove(const std::string& path) const;

  std::string cluster_directory_;
  std::map<std::pair<dev_t, ino_t>, std::string> own_;  // directories, and what they are
  std::map<dev_t, std::vector<VolumeId>> volumes_;      // online and writable
};

}  // namespace pxfs::cli
