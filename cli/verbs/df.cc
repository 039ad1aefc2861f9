#include <cmath>
#include <cstdio>

#include "base/bytes.h"
#include "cli/output.h"
#include "cli/verbs/verbs.h"
#include "cli/volume_report.h"

namespace pxfs::cli {
namespace {

std::string PercentUsed(uint64_t total, uint64_t free) {
  if (total == 0) return "-";
  // Rounded up, as df(1) does: 100 % only when full, 0 % only when empty.
  return std::to_string(static_cast<uint64_t>(
             std::ceil(100.0 * static_cast<double>(total - std::min(free, total)) /
                       static_cast<double>(total)))) +
         "%";
}

std::vector<std::string> Row(const std::string& name, uint64_t total, uint64_t free,
                             uint64_t available, uint64_t objects, const std::string& path) {
  return {name,
          FormatBytes(total),
          FormatBytes(total - std::min(free, total)),
          FormatBytes(available),
          PercentUsed(total, free),
          std::to_string(objects),
          path};
}

Result<int> Df(const Command& command) {
  PXFS_ASSIGN(const auto cluster, OpenCluster(command));
  PXFS_ASSIGN(const std::vector<meta::VolumeInfo> listed, cluster->metadata().ListVolumes());
  PXFS_ASSIGN(const meta::StatFs whole, cluster->metadata().GetStatFs());
  if (command.json) {
    nlohmann::json json = {{"volumes", nlohmann::json::array()},
                           {"total", whole.total_bytes},
                           {"free", whole.free_bytes},
                           {"available", whole.available_bytes},
                           {"inodes", whole.inodes}};
    for (const meta::VolumeInfo& volume : listed) json["volumes"].push_back(VolumeJson(volume));
    PrintJson(json);
    return kOk;
  }
  using enum Table::Align;
  Table table({{"VOLUME"},
               {"SIZE", kRight},
               {"USED", kRight},
               {"AVAIL", kRight},
               {"USE%", kRight},
               {"OBJECTS", kRight},
               {"PATH"}});
  uint64_t objects = 0;
  for (const meta::VolumeInfo& volume : listed) {
    const uint64_t available =
        volume.free_bytes > volume.reserve_bytes ? volume.free_bytes - volume.reserve_bytes : 0;
    table.Add(Row(volume.name, volume.total_bytes, volume.free_bytes, available, volume.objects,
                  volume.path));
    objects += volume.objects;
  }
  table.Add(Row("total", whole.total_bytes, whole.free_bytes, whole.available_bytes, objects, ""));
  std::printf("%s", table.ToString().c_str());
  return kOk;
}

}  // namespace

void AddDf(CLI::App& app, Command& command) {
  CLI::App* verb =
      AddVerb(app, command, "df", "Space and objects of each volume; AVAIL leaves the reserve",
              [&command] { return Df(command); });
  AddJsonOption(*verb, command);
}

}  // namespace pxfs::cli
