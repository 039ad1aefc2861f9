#include <cstdio>

#include "cli/output.h"
#include "cli/verbs/verbs.h"

namespace pxfs::cli {
namespace {

struct Options {
  std::string directory, name;
  std::vector<std::string> volumes;
};

Result<int> Format(const Command& command, const Options& options) {
  std::vector<VolumeArgument> volumes;
  for (const std::string& text : options.volumes) {
    PXFS_ASSIGN(VolumeArgument volume, ParseVolumeArgument(text));
    volumes.push_back(std::move(volume));
  }
  PXFS_ASSIGN(const ClusterIdentity identity,
              FormatCluster(options.directory, options.name, volumes));
  PXFS_ASSIGN(const auto cluster,
              Cluster::Open(identity.directory, Access::kAny, std::chrono::seconds(5)));
  PXFS_ASSIGN(const std::vector<std::string> warnings, VolumeWarnings(*cluster));
  for (const std::string& warning : warnings) PrintWarning(warning);
  PXFS_ASSIGN(const std::vector<meta::VolumeInfo> made, cluster->metadata().ListVolumes());
  if (command.json) {
    nlohmann::json json = {{"directory", identity.directory},
                           {"uuid", identity.uuid},
                           {"name", identity.name},
                           {"volumes", nlohmann::json::array()}};
    for (const meta::VolumeInfo& volume : made)
      json["volumes"].push_back(
          {{"name", volume.name}, {"path", volume.path}, {"uuid", volume.uuid}});
    PrintJson(json);
    return kOk;
  }
  std::printf("cluster %s (%s) with %s at %s\n", identity.name.c_str(), identity.uuid.c_str(),
              Count(made.size(), "volume").c_str(), identity.directory.c_str());
  std::printf("mount it with: mount -t pxfs %s MOUNTPOINT\n", identity.directory.c_str());
  return kOk;
}

}  // namespace

void AddFormat(CLI::App& app, Command& command) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = AddVerb(app, command, "format", "Make a cluster directory and its volumes",
                           [&command, options] { return Format(command, *options); });
  verb->add_option("DIR", options->directory, "The cluster directory: new or empty")->required();
  verb->add_option("--volume", options->volumes,
                   "A new or empty directory for objects (repeatable): PATH[,name=N,label=K=V...]")
      ->required()
      ->type_name("PATH[,...]")
      ->allow_extra_args(false);
  verb->add_option("--name", options->name, "The cluster's name (default: that of DIR)")
      ->type_name("CLUSTER");
  AddJsonOption(*verb, command);
}

}  // namespace pxfs::cli
