// Copying a file into an object, with XXH3-128 over what was copied.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <functional>
#include <optional>

#include "base/hash.h"
#include "base/result.h"
#include "volumes/volume.h"

namespace pxfs::volumes {

struct CopyOptions {
  bool reflink = true;      // share blocks with the source where the file system can
  bool verify = false;      // read the object back from its disk and compare
  std::string origin = {};  // the path to record in the object (Volume::SetOrigin); empty: none
  // Called with the number of bytes done since the last call; returns false to give up
  // (kInterrupted).
  std::function<bool(uint64_t)> progress = {};
};

struct CopyResult {
  Hash128 checksum;
  struct stat object;  // of the object, once all is written
  bool reflinked = false;
};

// Makes the object `name` on `volume` with the content of the regular file `source_fd`, and with
// `owner` and the source's times. Holes stay holes.
//
// The object has its name from the start: a reader never sees a partial copy because metadata
// refers to it only when it is complete, and whoever copies has reserved the name, so that what a
// crash leaves is reclaimed by it. (A file without a name, or with a temporary one, costs a third
// more for small files.) What is recorded last is the origin: an object without one is not
// complete.
//
// Blocks for the copying, not for the disk unless verifying: use Volume::Sync, or fsync, before
// relying on it. kExists: the object is there already; kStale: the source changed meanwhile;
// kNotSupported: a file such as those of /proc, whose size is 0 though it can be read;
// kCorruption: what was read back differs; kNoSpace; kInterrupted. Nothing is left behind on
// errors.
Result<CopyResult> CopyIntoObject(const Volume& volume, ObjectName name, const ObjectOwner& owner,
                                  int source_fd, const CopyOptions& options);

// The same, verified and durable, name and all.
Result<CopyResult> CopyDurably(const Volume& volume, ObjectName name, const ObjectOwner& owner,
                               int source_fd, CopyOptions options);

// Copies the primary's object of `location` to the one that `target` (a replica in state kCopying)
// names, verifies it, and makes it durable, name and all. What an earlier attempt left there is
// removed first.
// As CopyIntoObject, and kUnavailable: a volume is offline. Nothing is left behind on errors.
Status CopyReplica(const VolumeSet& volumes, const meta::Location& location,
                   const meta::Replica& target);

// The checksum of a whole file; holes are not read. kInterrupted as above.
Result<Hash128> ChecksumFile(int fd, const std::function<bool(uint64_t)>& progress = {});

}  // namespace pxfs::volumes
