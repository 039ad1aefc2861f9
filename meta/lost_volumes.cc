#include "meta/lost_volumes.h"

#include "base/bytes.h"

namespace pxfs::meta {

std::string LostVolumeKey(VolumeId volume) {
  return std::string(kLostVolumePrefix) + ToHex16(volume.value);
}

std::optional<VolumeId> ParseLostVolume(std::string_view key) {
  if (!key.starts_with(kLostVolumePrefix)) return std::nullopt;
  key.remove_prefix(kLostVolumePrefix.size());
  VolumeId volume;
  if (!TakeHex16(key, &volume.value) || !key.empty()) return std::nullopt;
  return volume;
}

}  // namespace pxfs::meta
