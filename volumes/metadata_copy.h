// Copies of the metadata on the volumes, so that the namespace can be rebuilt where the cluster
// directory is lost: each volume holds a dump (meta/service.h) that is replaced now and then.
//
// Objects alone do not tell links, directories, symlinks, ACLs and policies, and paths that objects
// might bear would be stale after every rename of a directory. A dump costs nothing on the hot
// path.
#pragma once

#include <chrono>
#include <string>

#include "base/result.h"
#include "meta/service.h"
#include "volumes/volume.h"

namespace pxfs::volumes {

// Below the root of a volume.
inline constexpr const char* kMetadataCopyFile = ".pxfs-metadata";

// Not thread-safe.
class MetadataCopies {
 public:
  struct Cluster {
    std::string uuid, name;
  };
  // After a change of content, and after none (names may have changed nevertheless).
  static constexpr std::chrono::minutes kInterval{10}, kQuietInterval{60};

  MetadataCopies(meta::MetadataService& metadata, const VolumeSet& volumes, Cluster cluster)
      : metadata_(metadata), volumes_(volumes), cluster_(std::move(cluster)) {}

  // Writes a copy to every volume, if the last one is old enough: as the intervals say, and so that
  // copying takes a hundredth of the time at most. Volumes that are full or read-only are passed
  // over. Blocks for reading the store once for each volume.
  void WriteIfDue(bool content_changed);

 private:
  bool Due() const;
  void Write(const Volume& volume);

  meta::MetadataService& metadata_;
  const VolumeSet& volumes_;
  const Cluster cluster_;
  bool content_changed_ = true;  // nobody knows what the process before has copied
  std::chrono::steady_clock::time_point not_before_{};
};

}  // namespace pxfs::volumes
