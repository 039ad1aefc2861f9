// Volumes that were removed as lost while files had no copy elsewhere. A record of the store
// (MetadataService::ScanRecords) keeps the name of each, for people, until the last of these files
// is removed.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace pxfs::meta {

inline constexpr std::string_view kLostVolumePrefix = "lost/";

// "lost/<volume>", 16 hexadecimal digits; the value is the name.
std::string LostVolumeKey(VolumeId volume);
// Nothing for what is no such key.
std::optional<VolumeId> ParseLostVolume(std::string_view key);

}  // namespace pxfs::meta
