// What is mounted, as /proc/self/mountinfo says.
#pragma once

#include <string>
#include <vector>

namespace pxfs::test {

struct MountEntry {
  std::string mountpoint;
  std::string type;
  std::string source;
  std::string options;        // of the mount: "rw,nosuid,relatime"
  std::string super_options;  // of the file system
};

std::vector<MountEntry> MountTable();
// The topmost mount at exactly this path; an empty type where there is none.
MountEntry MountAt(const std::string& mountpoint);
// Mount points at or below `directory`, deepest last.
std::vector<std::string> MountsBelow(const std::string& directory);

}  // namespace pxfs::test
