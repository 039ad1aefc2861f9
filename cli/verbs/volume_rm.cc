// pxfs volume rm NAME [--lost]
#include <chrono>
#include <cstdio>
#include <thread>

#include "cli/output.h"
#include "cli/verbs/verbs.h"
#include "cli/volume_lookup.h"
#include "volumes/maintenance.h"
#include "volumes/volume.h"

namespace pxfs::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How long objects that are being deleted are waited for.
constexpr milliseconds kLook(50), kLongest(30'000);

struct Options {
  std::string name;
  bool lost = false;
};

// What was the last file there may have objects that are still being deleted.
Status RemoveEmpty(Cluster& cluster, const meta::VolumeInfo& volume) {
  const auto deadline = steady_clock::now() + kLongest;
  for (;;) {
    const Status removed = cluster.metadata().RemoveVolume(volume.id, /*lost=*/false);
    if (removed || !(removed.error() == Code::kBusy) || steady_clock::now() > deadline)
      return removed;
    if (cluster.embedded()) {
      PXFS_TRY(volumes::ReclaimOnce(cluster.metadata(), cluster.volumes(), 1000, kLook));
    } else {
      std::this_thread::sleep_for(kLook);
    }
  }
}

Result<int> Remove(const Command& command, const Options& options) {
  PXFS_ASSIGN(const auto cluster, OpenCluster(command));
  PXFS_ASSIGN(const meta::VolumeInfo volume, FindVolumeByName(*cluster, options.name));
  if (!options.lost) {
    PXFS_TRY(RemoveEmpty(*cluster, volume));
    // So that the directory can become a volume again. A disk that is away keeps its mark.
    const auto unformatted = volumes::Volume::Unformat(
        volume.path, {cluster->identity().uuid, volume.uuid, volume.name});
    if (!unformatted) PrintWarning(volume.path + ": " + unformatted.error().message());
    return kOk;
  }
  PXFS_TRY(cluster->metadata().RemoveVolume(volume.id, /*lost=*/true));
  PXFS_ASSIGN(const meta::CopyCensus census, cluster->metadata().GetCopyCensus());
  for (const meta::CopyCensus::Loss& loss : census.lost) {
    if (loss.volume == volume.id)
      PrintWarning(Count(loss.count.files, "file") +
                   " had no other copy and cannot be read; 'pxfs "
                   "where -r --lost PATH' lists what is lost");
  }
  return kOk;
}

}  // namespace

void AddVolumeRemove(CLI::App& group, Command& command) {
  auto options = std::make_shared<Options>();
  CLI::App* rm = AddVerb(group, command, "rm", "Remove a volume that holds nothing any more",
                         [&command, options] { return Remove(command, *options); });
  rm->add_option("NAME", options->name, "The volume")->required();
  rm->add_flag("--lost", options->lost,
               "Its disk is gone for good: forget what lies there. Files without a copy elsewhere "
               "stay, and cannot be read");
}

}  // namespace pxfs::cli
