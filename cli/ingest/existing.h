// What a directory of the destination holds already.
#pragma once

#include <string>
#include <unordered_map>

#include "cli/ingest/job.h"

namespace pxfs::cli {

using Listing = std::unordered_map<std::string, meta::Attr>;

// Adds what is in `directory` to `listing`.
Status ListDirectory(IngestJob& job, InodeId directory, Listing& listing);

// Whether the source `st` at `source` is what `attr` is already: the same type, and for files size
// and mtime, and the object is there in this size (with --verify: with this content); for symlinks
// the target; for devices the number.
Result<bool> IsSame(IngestJob& job, const std::string& source, const struct stat& st,
                    const meta::Attr& attr);

}  // namespace pxfs::cli
