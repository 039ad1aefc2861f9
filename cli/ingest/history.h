// Which directories ingests have made of which sources, so that the same command can be run again:
// `pxfs ingest --resume SRC DEST` means DEST itself once it has made it, and not DEST/SRC as cp(1)
// would have it. Kept as records of the metadata service (docs/formats.md).
#pragma once

#include <string>
#include <vector>

#include "cli/cluster.h"

namespace pxfs::cli {

struct MadeDirectory {
  std::string path;    // in the namespace
  std::string source;  // canonical, on this host
  InodeId inode;       // 0: the ingest has not come to an end
};

// Those that are still there; the others are forgotten.
Result<std::vector<MadeDirectory>> LoadHistory(Cluster& cluster, const meta::CallContext& ctx);
// Replaces what is recorded for the path.
Status Remember(Cluster& cluster, const MadeDirectory& made);

}  // namespace pxfs::cli
