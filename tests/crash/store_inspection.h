// What must hold of a cluster that nobody has open, whatever was killed before.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace pxfs::test {

// Opens the cluster directory's store, lets what a dead process left be recovered and reclaimed,
// and returns one line for each problem: what the store's checker finds, orphans and unreclaimed
// objects that stay, an object on a volume that no inode refers to, a replica whose object is
// missing or has another size than its inode.
Result<std::vector<std::string>> InspectCluster(const std::string& cluster_directory);

// A failure of the test for each of them.
void ExpectSound(const std::string& cluster_directory);

}  // namespace pxfs::test
