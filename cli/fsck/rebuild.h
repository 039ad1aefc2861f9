// Rebuilding the metadata of a cluster from its volumes: docs/fsck.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace pxfs::cli {

struct RebuildOptions {
  std::string directory;             // of the cluster; new, empty, or the cluster's own
  std::vector<std::string> volumes;  // roots, one at least
  bool dry_run = false;
};

struct RebuildReport {
  std::string cluster_uuid, cluster_name, directory;
  std::string copy;  // the copy of the metadata that was used; empty: there was none
  int64_t copy_made_seconds = 0;
  std::string replaced;  // where the store that was there is kept; empty: there was none
  uint64_t volumes = 0;
  uint64_t files = 0;                 // known to the copy, and with content
  uint64_t updated = 0;               // of them: taken from objects that are newer than the copy
  uint64_t found_by_path = 0;         // not known to the copy; objects say where they belong
  uint64_t conflicts = 0;             // of them: the name was taken, so they have got another
  uint64_t lost_and_found = 0;        // not known to the copy, and without a path
  std::vector<std::string> lost;      // paths whose content is not on any volume that is there
  std::vector<std::string> problems;  // volumes that are away, back-pointers that are damaged, ...
};

// Nothing on the volumes is changed, so it can be done again, also after it was killed midway.
// With dry_run the directory is not touched either. kInvalid: volumes of different clusters, or the
// directory of another one; kBusy: somebody serves the cluster; kExists, kUnavailable.
Result<RebuildReport> RebuildCluster(const RebuildOptions& options);

}  // namespace pxfs::cli
