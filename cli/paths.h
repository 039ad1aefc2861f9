// Host paths as users give them.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace pxfs::cli {

// Absolute, without "." and "..", and without symlinks as far as it exists. kInvalid for an empty
// path.
Result<std::string> CanonicalPath(const std::string& path);

// Whether `path` is `directory` or lies below it; both canonical.
bool IsWithin(const std::string& path, const std::string& directory);

// The cluster whose mount the path (or its nearest ancestor that exists) lies in; empty: none.
std::string MountedClusterAt(const std::string& canonical_path);

// `path` and those of its ancestors that do not exist, outermost first: what making it will make.
std::vector<std::string> MissingDirectories(const std::string& canonical_path);
// Removes them again, innermost first, as far as they are empty.
void RemoveDirectories(const std::vector<std::string>& directories);

}  // namespace pxfs::cli
