// The back-pointer of an object (docs/formats.md): Volume::SetOrigin writes it.
#pragma once

#include <unistd.h>

#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "volumes/volume.h"

namespace pxfs::volumes {

// Only root has attributes of the kind that nobody else can touch.
inline const char* OriginXattr() {
  return ::geteuid() == 0 ? "trusted.pxfs.origin" : "user.pxfs.origin";
}

// The path that the object's file had when the object was made; empty: not known. kCorruption:
// not what SetOrigin writes, or of another inode.
Result<std::string> ReadOrigin(const Volume& volume, ObjectName name);

}  // namespace pxfs::volumes
