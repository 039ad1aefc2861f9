// Reading what a source is: everything of it but its content.
#pragma once

#include <sys/stat.h>

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "meta/service.h"

namespace pxfs::cli {

// A node with the mode, owner, times and device number of `st`, still without xattrs and object.
meta::TreeNode NodeOf(const struct stat& st, const std::string& relative);

// The same for what is at `path` and is not opened: with its xattrs, and a symlink's target.
Result<meta::TreeNode> ReadNode(const std::string& path, const struct stat& st,
                                const std::string& relative);

// A regular file, opened without touching its atime where that is allowed, and its node.
struct SourceFile {
  UniqueFd fd;
  struct stat st;
  meta::TreeNode node;
};
// kStale: it is no regular file any more.
Result<SourceFile> OpenSource(const std::string& path, const std::string& relative);

}  // namespace pxfs::cli
