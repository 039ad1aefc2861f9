// How many jobs there are in which state.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/result.h"
#include "cli/cluster.h"

namespace pxfs::cli {

// By the name of the state, every state among them. Of all users for root; others see what the job
// service shows them.
Result<std::map<std::string, uint64_t>> CountJobs(Cluster& cluster);

}  // namespace pxfs::cli
