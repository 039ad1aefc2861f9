#include <cstdio>

#include "volumes/volume.h"

namespace pxfs::volumes {

std::string ObjectName::RelativePath() const {
  // Sequential inodes share a directory: about a thousand objects in each.
  char text[80];
  const int size = std::snprintf(text, sizeof text, "objects/%llx/%llx-%llx",
                                 static_cast<unsigned long long>(inode.value / 1024),
                                 static_cast<unsigned long long>(inode.value),
                                 static_cast<unsigned long long>(generation));
  return std::string(text, static_cast<size_t>(size));
}

}  // namespace pxfs::volumes
