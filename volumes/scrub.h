// Reading a file's replicas whole, to find those that are damaged while there is another copy.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "meta/service.h"
#include "volumes/volume.h"

namespace pxfs::volumes {

struct ScrubDamage {
  VolumeId volume;
  std::string what;          // "its checksum is ..., not ..."
  bool replaceable = false;  // another copy is good: this one is dropped and made anew
};

struct ScrubOutcome {
  uint64_t objects = 0, bytes = 0;  // read
  std::vector<ScrubDamage> damages;
  std::set<VolumeId> good;  // where the object is the content
};

struct ScrubOptions {
  // Replicas that were found good since (seconds since 1970) are passed over; 0: none are.
  int64_t verified_before = 0;
  // So many bytes have been read from a volume; false: give up (kInterrupted).
  std::function<bool(VolumeId, uint64_t)> progress = {};
};

// Compares what the file's objects hold, on disk and not in the page cache, with its checksum, and
// tells metadata of each (MetadataService::ReportScrub). Where no checksum is known, the first
// replica's becomes it. A file that is being written, or is not there any more, has no damage;
// volumes that are away are passed
// over, and so is what may be older than the content (VolumeSet::Doubtful) where no checksum tells.
// Blocks for the reading.
Result<ScrubOutcome> ScrubFile(meta::MetadataService& metadata, const VolumeSet& volumes,
                               InodeId inode, const ScrubOptions& options = {});

}  // namespace pxfs::volumes
