// Probe::Tree: a whole tree as lines.
#include <dirent.h>

#include <algorithm>

#include "tests/mount/probe.h"

namespace pxfs::test {

void Probe::Tree(const std::string& path) {
  Stat(path);
  struct stat st;
  if (::lstat(path.c_str(), &st) != 0) return;
  ListXattrs(path);
  std::string list(XATTR_LIST_MAX, '\0');
  const ssize_t size = ::llistxattr(path.c_str(), list.data(), list.size());
  std::vector<std::string> xattrs;
  for (ssize_t at = 0; at < size; at += static_cast<ssize_t>(xattrs.back().size()) + 1)
    xattrs.push_back(list.data() + at);
  std::sort(xattrs.begin(), xattrs.end());
  for (const std::string& name : xattrs) GetXattr(path, name);

  if (S_ISREG(st.st_mode)) Content(path);
  if (S_ISLNK(st.st_mode)) Readlink(path);
  if (!S_ISDIR(st.st_mode)) return;
  List(path);
  DIR* directory = ::opendir(path.c_str());
  if (!directory) return;
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  ::closedir(directory);
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) Tree(path + "/" + name);
}

}  // namespace pxfs::test
