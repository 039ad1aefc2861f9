// Adding nodes to the namespace, so that one that cannot be added does not hold up the others.
#pragma once

#include <span>
#include <vector>

#include "cli/ingest/job.h"

namespace pxfs::cli {

// Adds the nodes in one transaction, or one by one if that fails. Returns which were added; the
// others are among the job's problems, or the job is aborted.
std::vector<bool> Publish(IngestJob& job, std::span<const meta::TreeNode> nodes);

}  // namespace pxfs::cli
