// Reading staged trees: what tasks wrote, as nodes of the namespace.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "jobs/node.h"
#include "meta/service.h"
#include "volumes/volume.h"

namespace pxfs::jobs {

struct StagedNode {
  meta::TreeNode node;         // without its object
  VolumeId volume;             // regular files only
  std::string path_on_volume;  // of the staged file, below the volume's root
};

// The trees of several tasks as one. Directories of the same name are one; any other name that two
// tasks wrote is kExists.
class StagedTree {
 public:
  // Sockets are left out: nobody listens on them any more.
  Status Add(const volumes::Volume& volume, TaskKey key);
  const std::vector<StagedNode>& nodes() const { return nodes_; }  // parents first

 private:
  struct Origin {
    uint32_t task = 0;
    bool directory = false;
  };
  Status AddDirectory(const volumes::Volume& volume, TaskKey key, int fd, const std::string& path);
  Status AddEntry(const volumes::Volume& volume, TaskKey key, int directory_fd,
                  const std::string& name, const std::string& path);

  std::vector<StagedNode> nodes_;
  std::map<std::string, Origin> origins_;
  // Files with several names, by device and inode number: the first of them.
  std::map<std::pair<uint64_t, uint64_t>, std::string> linked_;
};

}  // namespace pxfs::jobs
