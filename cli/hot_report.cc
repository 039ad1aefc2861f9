#include "cli/hot_report.h"

namespace pxfs::cli {

std::string VolumeName(const volumes::VolumeSet& volumes, VolumeId id) {
  const auto volume = volumes.Info(id);
  return volume ? volume->name : std::to_string(id.value);
}

nlohmann::json HotCopiesJson(std::span<const volumes::HotRecord> records,
                             const volumes::VolumeSet& volumes) {
  nlohmann::json list = nlohmann::json::array();
  for (const volumes::HotRecord& record : records)
    list.push_back({{"volume", VolumeName(volumes, record.volume)},
                    {"since", record.since_seconds},
                    {"why", record.why}});
  return list;
}

}  // namespace pxfs::cli
