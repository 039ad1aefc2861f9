#include "volumes/shown_path.h"

namespace pxfs::volumes {

std::string ShownPath(meta::MetadataService& metadata, InodeId inode) {
  const auto path = metadata.PathOf(inode);
  return path ? *path : "inode " + std::to_string(inode.value);
}

}  // namespace pxfs::volumes
