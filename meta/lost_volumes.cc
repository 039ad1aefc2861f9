#include "meta/lost_volumes.h"

#include <charconv>
#include <cstdio>

namespace pxfs::meta {

std::string LostVolumeKey(VolumeId volume) {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(volume.value));
  return std::string(kLostVolumePrefix) + digits;
}

std::optional<VolumeId> ParseLostVolume(std::string_view key) {
  if (!key.starts_with(kLostVolumePrefix)) return std::nullopt;
  key.remove_prefix(kLostVolumePrefix.size());
  VolumeId volume;
  const auto parsed = std::from_chars(key.data(), key.data() + key.size(), volume.value, 16);
  if (parsed.ec != std::errc() || parsed.ptr != key.data() + key.size()) return std::nullopt;
  return volume;
}

}  // namespace pxfs::meta
