// A cluster directory made, or made anew, of a dump of its metadata.
#pragma once

#include <string>

#include "base/result.h"
#include "meta/dump.h"

namespace pxfs::cli {

struct LoadedCluster {
  meta::DumpSummary summary;
  std::string directory;
  std::string replaced;  // where the store that was there is kept; empty: there was none
};

// directory: empty, new, or the directory of the dump's cluster, whose store is only replaced if
// asked. Nothing is changed on failure. kExists, kBusy (somebody serves the cluster), kInvalid
// (another cluster's directory), and as meta::LoadDump.
Result<LoadedCluster> LoadCluster(const std::string& file, const std::string& directory,
                                  bool replace);

}  // namespace pxfs::cli
