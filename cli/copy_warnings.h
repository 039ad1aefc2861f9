// What may keep files from having the copies that are asked for.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/cluster.h"

namespace pxfs::cli {

// Of a policy as it holds for a directory, and of a number of copies that files ask for themselves;
// one line each. Looks at the volumes now.
Result<std::vector<std::string>> CopyWarnings(Cluster& cluster, const meta::Policy& effective,
                                              uint32_t copies);

}  // namespace pxfs::cli
