// The back-pointer of an object (docs/formats.md): Volume::SetOrigin writes it.
#pragma once

#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "volumes/volume.h"

namespace pxfs::volumes {

inline constexpr const char* kOriginXattr = "trusted.pxfs.origin";

// The path that the object's file had when the object was made; empty: not known. kCorruption:
// not what SetOrigin writes, or of another inode.
Result<std::string> ReadOrigin(const Volume& volume, ObjectName name);

}  // namespace pxfs::volumes
