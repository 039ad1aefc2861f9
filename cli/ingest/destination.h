// Where the sources of an ingest go, as cp(1) has it.
#pragma once

#include <vector>

#include "cli/ingest/history.h"
#include "cli/ingest/job.h"

namespace pxfs::cli {

struct Destinations {
  Destination base;
  std::string directory_to_make;  // in the base, for several sources to go into; empty: none
  std::vector<Root> roots;
  std::string
      made_of_source;  // the path of DEST, where the one source is a directory and becomes it
};

// Into DEST where that is a directory; else a single source becomes DEST, and several ones go into
// DEST, which is made. With --resume, a directory that an earlier ingest (`history`) has made of
// the same source is that source's again. A source that ends in "/." means what is in it.
// kNotFound: a source, or the directory that DEST would be made in, does not exist; kExists: two
// sources would get one name; kInvalid: DEST lies in a source.
Result<Destinations> FindDestinations(Cluster& cluster, const meta::CallContext& ctx,
                                      const IngestOptions& options,
                                      const std::vector<MadeDirectory>& history);

}  // namespace pxfs::cli
