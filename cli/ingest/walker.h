// The walk over the sources of an ingest.
#pragma once

#include <functional>
#include <vector>

#include "cli/ingest/job.h"

namespace pxfs::cli {

// What is done only when all files are in.
struct LateWork {
  struct Link {
    std::string source, relative, first;  // `first`: the path of the name that has the content
    bool exists = false;                  // it is there already: only to be checked
    SourceState state;
  };
  struct DirectoryTimes {
    std::string relative;
    meta::Timestamp atime, mtime;
  };
  std::vector<Link> links;
  std::vector<DirectoryTimes> directories;
  std::vector<std::string> source_directories;  // parents before children
};

// Walks every root: publishes directories, symlinks and special files, and hands regular files to
// `take` in batches (false: stop). A batch is handed on only after its directories have been
// published. Single problems go to the job's, fatal ones abort it.
LateWork WalkSources(IngestJob& job, const std::vector<Root>& roots,
                     const std::function<bool(Batch)>& take);

}  // namespace pxfs::cli
