// The identity file of a volume: which cluster and which volume the directory belongs to.
#pragma once

#include <string>

#include "base/result.h"
#include "volumes/volume.h"

namespace pxfs::volumes {

inline constexpr const char* kIdentityFile = ".pxfs-volume";

// Reads the file below the open directory `root_fd`; `root` is for messages. kUnavailable: not
// there; kInvalid: a newer format; kCorruption.
Result<VolumeIdentity> ReadVolumeIdentity(int root_fd, const std::string& root);
// Writes it, durably. The file must not exist.
Status WriteVolumeIdentity(const std::string& root, const VolumeIdentity& identity);
// kInvalid unless `found` is the volume that is `expected` at `root`.
Status CheckVolumeIdentity(const VolumeIdentity& found, const VolumeIdentity& expected,
                           const std::string& root);

}  // namespace pxfs::volumes
