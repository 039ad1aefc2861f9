#include "cli/volume_report.h"

#include "volumes/location.h"

namespace pxfs::cli {

nlohmann::json VolumeJson(const meta::VolumeInfo& volume) {
  return {{"name", volume.name},
          {"id", volume.id.value},
          {"uuid", volume.uuid},
          {"node", volumes::NodeName(volume.node)},
          {"state", meta::ToString(volume.state)},
          {"path", volume.path},
          {"total", volume.total_bytes},
          {"free", volume.free_bytes},
          {"reserve", volume.reserve_bytes},
          {"objects", volume.objects},
          {"object_bytes", volume.object_bytes},
          {"copy_rate", volume.copy_rate},
          {"weight", volume.weight},
          {"labels", volume.labels},
          {"problem", volume.problem},
          {"unsettled", volume.unsettled}};
}

std::string LabelsText(const std::map<std::string, std::string>& labels) {
  std::string text;
  for (const auto& [key, value] : labels) text += (text.empty() ? "" : ",") + key + "=" + value;
  return text.empty() ? "-" : text;
}

}  // namespace pxfs::cli
