// pxfs volume add|ls|set; drain, rebalance and rm are in files of their own

#include <cstdio>
#include <cstdlib>

#include "base/bytes.h"
#include "base/quantities.h"
#include "cli/output.h"
#include "cli/verbs/verbs.h"
#include "cli/volume_lookup.h"
#include "cli/volume_names.h"
#include "cli/volume_report.h"

namespace pxfs::cli {
namespace {

struct AddOptions {
  std::vector<std::string> volumes;
};

struct SetOptions {
  std::string name;
  std::vector<std::string> changes;
};

Result<int> Add(const Command& command, const AddOptions& options) {
  std::vector<VolumeArgument> arguments;
  for (const std::string& text : options.volumes) {
    PXFS_ASSIGN(VolumeArgument argument, ParseVolumeArgument(text));
    arguments.push_back(std::move(argument));
  }
  PXFS_ASSIGN(const auto cluster, OpenCluster(command));
  auto json = nlohmann::json::array();
  for (const VolumeArgument& argument : arguments) {
    PXFS_ASSIGN(const meta::VolumeInfo added, AddVolume(*cluster, argument));
    json.push_back(VolumeJson(added));
    if (!command.json) std::printf("volume %s at %s\n", added.name.c_str(), added.path.c_str());
  }
  if (command.json) PrintJson(json);
  PXFS_ASSIGN(const std::vector<std::string> warnings, VolumeWarnings(*cluster));
  for (const std::string& warning : warnings) PrintWarning(warning);
  return kOk;
}

Result<int> List(const Command& command) {
  PXFS_ASSIGN(const auto cluster, OpenCluster(command));
  PXFS_ASSIGN(const std::vector<meta::VolumeInfo> listed, cluster->metadata().ListVolumes());
  if (command.json) {
    auto json = nlohmann::json::array();
    for (const meta::VolumeInfo& volume : listed) json.push_back(VolumeJson(volume));
    PrintJson(json);
    return kOk;
  }
  using enum Table::Align;
  Table table({{"VOLUME"},
               {"STATE"},
               {"FREE", kRight},
               {"RESERVE", kRight},
               {"WEIGHT", kRight},
               {"LABELS"},
               {"PATH"},
               {"PROBLEM"}});
  for (const meta::VolumeInfo& volume : listed) {
    char weight[32];
    std::snprintf(weight, sizeof weight, "%g", volume.weight);
    table.Add({volume.name, meta::ToString(volume.state), FormatBytes(volume.free_bytes),
               FormatBytes(volume.reserve_bytes), weight, LabelsText(volume.labels), volume.path,
               OneLine(volume.problem)});
  }
  std::printf("%s", table.ToString().c_str());
  return kOk;
}

Status SetState(meta::VolumeInfo& volume, const std::string& value) {
  using meta::VolumeState;
  for (const VolumeState state :
       {VolumeState::kOnline, VolumeState::kReadOnly, VolumeState::kOffline}) {
    if (value != meta::ToString(state)) continue;
    volume.state = state;
    return {};
  }
  return Fail(Code::kInvalid,
              "state=" + value + ": not a state to set; there are online, readonly and offline");
}

Status Change(meta::VolumeInfo& volume, const std::string& change) {
  const size_t equals = change.find('=');
  if (equals == std::string::npos || equals == 0)
    return Fail(Code::kInvalid,
                "'" + change + "': write state=, weight=, reserve=, rate=, or LABEL=VALUE");
  const std::string key = change.substr(0, equals), value = change.substr(equals + 1);
  if (key == "state") return SetState(volume, value);
  if (key == "weight") {
    char* end = nullptr;
    volume.weight = std::strtod(value.c_str(), &end);
    if (value.empty() || *end != '\0' || !(volume.weight >= 0) || volume.weight > 1e6)
      return Fail(Code::kInvalid, change + ": a weight is a number from 0 to 1000000");
    return {};
  }
  if (key == "reserve") {
    PXFS_ASSIGN(volume.reserve_bytes, ParseSize(value));
    return {};
  }
  if (key == "rate") {
    PXFS_ASSIGN(volume.copy_rate, ParseSize(value));
    return {};
  }
  if (value.empty()) {
    volume.labels.erase(key);
    return {};
  }
  PXFS_TRY(CheckLabel(key, value));
  volume.labels[key] = value;
  return {};
}

Result<int> Set(const Command& command, const SetOptions& options) {
  PXFS_ASSIGN(const auto cluster, OpenCluster(command));
  PXFS_ASSIGN(meta::VolumeInfo volume, FindVolumeByName(*cluster, options.name));
  for (const std::string& change : options.changes) PXFS_TRY(Change(volume, change));
  PXFS_TRY(cluster->metadata().UpdateVolume(volume));
  PXFS_TRY(cluster->metadata().Sync());
  return kOk;
}

}  // namespace

void AddVolumeVerbs(CLI::App& app, Command& command) {
  CLI::App* group =
      AddVerbGroup(app, command, "volume", "Volumes: add, ls, set, drain, rebalance, rm");

  auto add_options = std::make_shared<AddOptions>();
  CLI::App* add = AddVerb(*group, command, "add", "Add a new or empty directory as a volume",
                          [&command, add_options] { return Add(command, *add_options); });
  add->add_option("VOLUME", add_options->volumes, "PATH[,name=N,label=K=V...]")->required();
  AddJsonOption(*add, command);

  CLI::App* ls =
      AddVerb(*group, command, "ls", "List the volumes", [&command] { return List(command); });
  AddJsonOption(*ls, command);

  auto set_options = std::make_shared<SetOptions>();
  CLI::App* set = AddVerb(*group, command, "set", "Change a volume",
                          [&command, set_options] { return Set(command, *set_options); });
  set->add_option("NAME", set_options->name, "The volume")->required();
  set->add_option("KEY=VALUE", set_options->changes,
                  "state=online|readonly|offline, weight=NUMBER, reserve=SIZE, rate=SIZE (bytes a "
                  "second for copying, 0: no limit), or LABEL=VALUE (no value: remove it)")
      ->required();

  AddVolumeDrain(*group, command);
  AddVolumeRebalance(*group, command);
  AddVolumeRemove(*group, command);
}

}  // namespace pxfs::cli
