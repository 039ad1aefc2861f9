// The regular files that a PATH argument means.
#pragma once

#include <functional>
#include <string>

#include "cli/cluster.h"

namespace pxfs::cli {

// Calls `visit` with the file at `argument`, or with every file below it if that is a directory and
// `recursive` is set (kIsDirectory else), with its path in the namespace. Files that are removed
// meanwhile are passed over (`visit` says kNotFound). kInvalid: it is neither file nor directory.
Status ForEachFile(Cluster& cluster, const std::string& argument, bool recursive,
                   const std::function<Status(InodeId inode, const std::string& path)>& visit);

}  // namespace pxfs::cli
