// Which objects are on a volume.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "volumes/volume.h"

namespace pxfs::volumes {

// Calls `visit` with all objects of the volume, some thousand at a time, in no order. Files whose
// names are not those of objects are passed over. Objects may be made and removed meanwhile.
// Blocks for a look at every name. An error of `visit` ends it.
Status ForEachObject(const Volume& volume,
                     const std::function<Status(std::span<const ObjectName>)>& visit);

// The objects of one inode, the newest generation first.
Result<std::vector<ObjectName>> ObjectsOf(const Volume& volume, InodeId inode);

}  // namespace pxfs::volumes
