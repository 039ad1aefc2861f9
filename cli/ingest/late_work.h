// The end of an ingest: links, times of directories, durability, removal of sources.
#pragma once

#include "cli/ingest/job.h"
#include "cli/ingest/walker.h"

namespace pxfs::cli {

// Further names of files with several links.
void AddLinks(IngestJob& job, const std::vector<LateWork::Link>& links);
// Directories get the times that they have at the source, now that nothing is added to them any
// more.
void SetDirectoryTimes(IngestJob& job, const std::vector<LateWork::DirectoryTimes>& directories);
// Makes all that was published survive power loss: first the content, then the names.
Status MakeDurable(IngestJob& job);
// Removes the sources of what was published (--move), then the directories that are empty now.
void RemoveSources(IngestJob& job, const std::vector<std::string>& source_directories);

}  // namespace pxfs::cli
