// `pxfs ingest`: brings files from outside into the namespace, in parallel.
//
// 1. One thread walks the sources and publishes directories, symlinks and special files; files go
// to workers in
//    batches, after their directories have been published.
// 2. A worker reserves objects for its batch, copies (or links) the content into them, and
// publishes the batch in one
//    transaction. So a name appears only once its content is complete.
// 3. Further names of files with several links are added at the end, then the times of directories
// are set, the
//    volumes and the metadata are made durable, and only then sources are removed (--move).
// 4. Whatever ends this process, its session ends too, and the service reclaims objects that were
// not published.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "cli/cluster.h"
#include "cli/ingest/problems.h"
#include "cli/ingest/summary.h"
#include "meta/types.h"

namespace pxfs::cli {

struct IngestOptions {
  std::vector<std::string> sources;
  std::string destination;  // a path inside a mount, or pxfs:/PATH
  bool move = false, adopt = false, verify = false, resume = false;
  std::optional<meta::Policy> policy;
  unsigned threads = 1;
  const std::atomic<bool>* stop = nullptr;  // becomes true to end early
};

// Files that cannot be brought in are added to `problems`, and the rest goes on. An error is one
// that ends it all; kInterrupted after `stop`. What has been published stays in either case.
Status Ingest(Cluster& cluster, const IngestOptions& options, IngestCounters& counters,
              Problems& problems);

}  // namespace pxfs::cli
