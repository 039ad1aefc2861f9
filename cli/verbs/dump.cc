#include <cstdio>

#include "base/bytes.h"
#include "cli/load_cluster.h"
#include "cli/output.h"
#include "cli/paths.h"
#include "cli/verbs/verbs.h"

namespace pxfs::cli {
namespace {

Result<int> Dump(const Command& command, const std::string& argument) {
  PXFS_ASSIGN(const std::string file, CanonicalPath(argument));
  // The store's host would wait for itself.
  if (const std::string mounted = MountedClusterAt(file); !mounted.empty())
    return Fail(Code::kInvalid, argument + ": lies in a mount of the cluster " + mounted +
                                    "; a backup belongs on another file system");
  PXFS_ASSIGN(const auto cluster, OpenCluster(command));
  PXFS_TRY(cluster->metadata().Dump({file, cluster->identity().uuid, cluster->identity().name}));
  PXFS_ASSIGN(const meta::DumpSummary summary, meta::ReadDump(file, {}));
  std::printf("%s of cluster %s in %s\n", Count(summary.records, "record").c_str(),
              summary.cluster_name.c_str(), file.c_str());
  return kOk;
}

struct LoadOptions {
  std::string file;
  bool replace = false;
};

Result<int> Load(const Command& command, const LoadOptions& options) {
  PXFS_ASSIGN(const LoadedCluster loaded,
              LoadCluster(options.file, command.cluster, options.replace));
  std::printf("%s of cluster %s (%s) at %s\n", Count(loaded.summary.records, "record").c_str(),
              loaded.summary.cluster_name.c_str(), loaded.summary.cluster_uuid.c_str(),
              loaded.directory.c_str());
  if (!loaded.replaced.empty())
    std::printf("the store that was there is kept as %s\n", loaded.replaced.c_str());
  return kOk;
}

}  // namespace

void AddDump(CLI::App& app, Command& command) {
  auto file = std::make_shared<std::string>();
  CLI::App* verb =
      AddVerb(app, command, "dump", "Back the metadata up into a file, while mounted or not",
              [&command, file] { return Dump(command, *file); });
  verb->add_option("FILE", *file, "Made, or replaced once the dump is whole")->required();
}

void AddLoad(CLI::App& app, Command& command) {
  auto options = std::make_shared<LoadOptions>();
  CLI::App* verb = AddVerb(
      app, command, "load",
      "Make the metadata of the cluster directory --cluster of a dump; the directory may be new",
      [&command, options] { return Load(command, *options); });
  verb->add_option("FILE", options->file, "What pxfs dump has written")->required();
  verb->add_flag("--replace", options->replace,
                 "Replace a metadata store that is there; it is kept under another name");
}

}  // namespace pxfs::cli
