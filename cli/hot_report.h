// Copies for heat, as commands show them.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "volumes/hot_record.h"
#include "volumes/volume.h"

namespace pxfs::cli {

// Its name; its number where nobody knows it any more.
std::string VolumeName(const volumes::VolumeSet& volumes, VolumeId id);

// [{"volume","since","why"}].
nlohmann::json HotCopiesJson(std::span<const volumes::HotRecord> records,
                             const volumes::VolumeSet& volumes);

}  // namespace pxfs::cli
