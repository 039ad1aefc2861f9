// A volume that was out of reach may come back as it was some time before: a disk that was
// restored, a snapshot, an older half of a mirror. Its identity is right then, and what lies there
// is not.
#pragma once

#include <functional>

#include "base/result.h"
#include "meta/service.h"
#include "volumes/volume.h"

namespace pxfs::volumes {

// Compares size and time of the file's object on a volume that is back with what metadata says.
// Where they differ, all replicas are read (ScrubFile), so that one that is not the content becomes
// stale; where nothing can be compared with, the log says so. False: it is not the content, or may
// not be. progress: as ScrubOptions has it. Blocks for the reading.
Result<bool> CompareReturnedFile(meta::MetadataService& metadata, const VolumeSet& volumes,
                                 InodeId inode, VolumeId returned,
                                 const std::function<bool(VolumeId, uint64_t)>& progress);

}  // namespace pxfs::volumes
