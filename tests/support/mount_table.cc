#include "tests/support/mount_table.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace pxfs::test {
namespace {

// Blanks and backslashes are written as \ooo.
std::string Unescape(const std::string& field) {
  std::string text;
  for (size_t i = 0; i < field.size(); ++i) {
    if (field[i] == '\\' && i + 3 < field.size()) {
      text += static_cast<char>(std::strtol(field.substr(i + 1, 3).c_str(), nullptr, 8));
      i += 3;
    } else {
      text += field[i];
    }
  }
  return text;
}

}  // namespace

std::vector<MountEntry> MountTable() {
  std::vector<MountEntry> table;
  std::ifstream in("/proc/self/mountinfo");
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    MountEntry entry;
    std::string id, parent, device, root, word;
    fields >> id >> parent >> device >> root >> entry.mountpoint >> entry.options;
    while (fields >> word && word != "-") {
    }
    fields >> entry.type >> entry.source >> entry.super_options;
    entry.mountpoint = Unescape(entry.mountpoint);
    entry.source = Unescape(entry.source);
    table.push_back(entry);
  }
  return table;
}

MountEntry MountAt(const std::string& mountpoint) {
  MountEntry found;
  for (const MountEntry& entry : MountTable()) {
    if (entry.mountpoint == mountpoint) found = entry;
  }
  return found;
}

std::vector<std::string> MountsBelow(const std::string& directory) {
  std::vector<std::string> found;
  for (const MountEntry& entry : MountTable()) {
    if (entry.mountpoint == directory || entry.mountpoint.starts_with(directory + "/"))
      found.push_back(entry.mountpoint);
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.size() < b.size(); });
  return found;
}

}  // namespace pxfs::test
