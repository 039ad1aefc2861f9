// A volume that was out of reach may come back as it was some time before: a disk that was
// restored, a snapshot, an older half of a mirror. Its identity is right then, and what lies there
// is not. Until everything there has been looked at it is unsettled (VolumeSet::Unsettled), and
// whoever opens an object there looks at that one first (VolumeSet::Doubtful, SettleReturned).
#pragma once

#include <functional>

#include "base/result.h"
#include "meta/service.h"
#include "volumes/volume.h"

namespace pxfs::volumes {

enum class ReturnedContent {
  kSame,      // what is there is the content
  kReplaced,  // it was not, and is stale now: another copy goes on
  kOlder,     // it is not, or nothing is there to tell, and there is no other copy
};

struct SettleOptions {
  VolumeId also = {};  // counts as unsettled whatever the set of volumes says; 0: none
  // As ScrubOptions has it.
  std::function<bool(VolumeId, uint64_t)> progress = {};
  bool tell = false;  // the log names the file where it is kOlder
};

// Compares size and time of the file's objects on unsettled volumes with what metadata says. Where
// they differ, all replicas are read (ScrubFile): one that is not the content becomes stale, one
// that is gets its times. Returns the last in the order above of what was found. A file that is
// open for writing counts as kSame. Blocks for the reading. kStale: it is changed all the time;
// kInterrupted.
Result<ReturnedContent> SettleReturned(meta::MetadataService& metadata, const VolumeSet& volumes,
                                       InodeId inode, const SettleOptions& options = {});

}  // namespace pxfs::volumes
