// What a directory tree holds, as text that two trees can be compared by.
#pragma once

#include <map>
#include <string>

#include "base/result.h"

namespace pxfs::test {

struct DigestOptions {
  bool content = true;  // a hash of what is in files, and where their holes are
  bool xattrs = true;
  bool times = true;   // mtime, to the nanosecond
  bool links = true;   // which names are one file
  bool owners = true;  // of files and directories: uid, gid
};

// By path relative to `directory` (which is "" itself): type, mode, owner, size, times, device
// number, symlink target, xattrs, content, and the first name of the same file. Sizes of
// directories are left out. Nothing is followed or changed but atimes.
Result<std::map<std::string, std::string>> DigestTree(const std::string& directory,
                                                      const DigestOptions& options = {});

}  // namespace pxfs::test
