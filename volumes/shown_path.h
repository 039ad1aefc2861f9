// Inodes in messages for people.
#pragma once

#include <string>

#include "base/ids.h"
#include "meta/service.h"

namespace pxfs::volumes {

// A path of the inode; "inode N" where it has none, or none that can be found out now.
std::string ShownPath(meta::MetadataService& metadata, InodeId inode);

}  // namespace pxfs::volumes
