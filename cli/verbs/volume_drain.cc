// pxfs volume drain NAME
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "base/bytes.h"
#include "base/quantities.h"
#include "cli/output.h"
#include "cli/verbs/verbs.h"
#include "cli/volume_lookup.h"
#include "meta/placement.h"

namespace pxfs::cli {
namespace {

struct Options {
  std::string name, rate;
  bool wait = false, dry_run = false, no_progress = false;
};

// What the other volumes can take.
struct Room {
  size_t volumes = 0;
  uint64_t bytes = 0;
};

Result<Room> RoomElsewhere(Cluster& cluster, VolumeId drained) {
  Room room;
  PXFS_ASSIGN(const std::vector<meta::VolumeInfo> listed, cluster.metadata().ListVolumes());
  for (const meta::VolumeInfo& volume : listed) {
    if (volume.id == drained || volume.state != meta::VolumeState::kOnline || volume.weight <= 0)
      continue;
    ++room.volumes;
    room.bytes += meta::Headroom(volume);
  }
  return room;
}

Status Await(Cluster& cluster, const Options& options, meta::VolumeInfo volume) {
  constexpr auto kLook = std::chrono::milliseconds(200);
  const uint64_t begin = volume.objects;
  ProgressLine progress(!options.no_progress);
  while (volume.objects > 0) {
    progress.Show(begin - std::min(begin, volume.objects), begin,
                  Count(volume.objects, "object") + " (" + FormatBytes(volume.object_bytes) +
                      ") left on " + volume.name);
    std::this_thread::sleep_for(kLook);
    PXFS_ASSIGN(volume, FindVolumeByName(cluster, options.name));
    if (volume.state == meta::VolumeState::kOnline)
      return Fail(Code::kInterrupted, options.name + ": somebody has put it online again");
  }
  progress.Clear();
  std::printf("volume %s is empty\n", options.name.c_str());
  return {};
}

// Who serves the cluster moves the files; without anybody it begins with the next mount.
Result<int> Drain(const Command& command, const Options& options) {
  PXFS_ASSIGN(const auto cluster, OpenCluster(command));
  PXFS_ASSIGN(meta::VolumeInfo volume, FindVolumeByName(*cluster, options.name));
  PXFS_ASSIGN(const Room room, RoomElsewhere(*cluster, volume.id));
  if (room.volumes == 0)
    return Fail(Code::kInvalid, options.name + ": no other volume is online to take its files");
  const std::string what = Count(volume.objects, "object") + " (" +
                           FormatBytes(volume.object_bytes) + ") on " + options.name;
  if (room.bytes < volume.object_bytes)
    PrintWarning(what + ", but the others have room for " + FormatBytes(room.bytes) +
                 " alone; what does not fit stays");
  if (options.dry_run) {
    std::printf("%s would move; %s with room for %s\n", what.c_str(),
                Count(room.volumes, "other volume").c_str(), FormatBytes(room.bytes).c_str());
    return kOk;
  }
  if (options.wait) PXFS_TRY(RequireServed(*cluster, "nothing would move"));
  volume.state = meta::VolumeState::kDraining;
  if (!options.rate.empty()) {
    PXFS_ASSIGN(volume.copy_rate, ParseSize(options.rate));
  }
  PXFS_TRY(cluster->metadata().UpdateVolume(volume));
  PXFS_TRY(cluster->metadata().Sync());
  if (options.wait) PXFS_TRY(Await(*cluster, options, volume));
  return kOk;
}

}  // namespace

void AddVolumeDrain(CLI::App& group, Command& command) {
  auto options = std::make_shared<Options>();
  CLI::App* drain =
      AddVerb(group, command, "drain",
              "Move everything off a volume, while it is in use; 'pxfs volume set NAME "
              "state=online' ends that",
              [&command, options] { return Drain(command, *options); });
  drain->add_option("NAME", options->name, "The volume")->required();
  drain->add_flag("--wait", options->wait, "Return once it is empty");
  drain->add_flag("--dry-run", options->dry_run, "Say what would move, and change nothing");
  drain->add_option("--rate", options->rate,
                    "Bytes a second at most, such as 50M; stays set (pxfs volume set NAME rate=)");
  drain->add_flag("--no-progress", options->no_progress, "No progress on a terminal");
}

}  // namespace pxfs::cli
