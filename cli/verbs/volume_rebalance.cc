// pxfs volume rebalance: moves files from volumes that are fuller than the others.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "base/bytes.h"
#include "base/quantities.h"
#include "cli/output.h"
#include "cli/verbs/verbs.h"
#include "meta/copy_queue.h"
#include "meta/placement.h"

namespace pxfs::cli {
namespace {

// As fair as this is fair enough: shares of the space that pxfs can use.
constexpr double kTolerance = 0.02;

struct Options {
  std::string rate;
  bool dry_run = false, wait = false, stop = false, no_progress = false;
};

// What is to leave a volume.
struct Plan {
  meta::VolumeInfo volume;
  double full = 0;  // its share that is used
  uint64_t excess_bytes = 0;
  std::vector<InodeId> files;
  uint64_t bytes = 0;  // of these
};

double UsableBytes(const meta::VolumeInfo& volume) {
  return static_cast<double>(volume.object_bytes + meta::Headroom(volume));
}

std::vector<Plan> FullerThanOthers(const std::vector<meta::VolumeInfo>& listed, double* mean) {
  double used = 0, usable = 0;
  std::vector<Plan> plans;
  for (const meta::VolumeInfo& volume : listed) {
    if (volume.state != meta::VolumeState::kOnline || volume.weight <= 0) continue;
    used += static_cast<double>(volume.object_bytes);
    usable += UsableBytes(volume);
    plans.push_back({volume, 0, 0, {}, 0});
  }
  *mean = usable > 0 ? used / usable : 0;
  for (Plan& plan : plans) {
    const double bytes = UsableBytes(plan.volume);
    plan.full = bytes > 0 ? static_cast<double>(plan.volume.object_bytes) / bytes : 0;
    if (plan.full > *mean + kTolerance)
      plan.excess_bytes = static_cast<uint64_t>((plan.full - *mean) * bytes);
  }
  std::erase_if(plans, [](const Plan& plan) { return plan.excess_bytes == 0; });
  return plans;
}

// Whether the file may leave: nobody asks for it to be there.
Result<bool> MayLeave(Cluster& cluster, const meta::Location& file,
                      const meta::VolumeInfo& volume) {
  if (file.attr.nlink == 0 || file.attr.open_for_write || file.wishes.volumes.contains(volume.id))
    return false;
  PXFS_ASSIGN(const meta::PolicyView policy, cluster.metadata().GetPolicy(file.attr.inode));
  return policy.effective.placement != meta::Placement::kPin ||
         policy.effective.pin_volume != volume.name;
}

Status ChooseFiles(Cluster& cluster, Plan& plan) {
  const auto look = [&](InodeId inode) -> Status {
    const auto file = cluster.metadata().Locate(CallerContext(), inode);
    if (!file && file.error() == Code::kNotFound) return {};
    if (!file) return Fail(file.error());
    PXFS_ASSIGN(const bool may_leave, MayLeave(cluster, *file, plan.volume));
    if (!may_leave || plan.bytes + file->attr.size_bytes > plan.excess_bytes) return {};
    plan.files.push_back(inode);
    plan.bytes += file->attr.size_bytes;
    return {};
  };
  return meta::ForEachInodeOn(cluster.metadata(), plan.volume.id, look);
}

Result<std::vector<std::string>> QueuedMoves(Cluster& cluster) {
  std::vector<std::string> keys;
  PXFS_TRY(meta::ForEachRecord(cluster.metadata(), meta::PrefixOf(meta::CopyReason::kRebalance),
                               [&](const meta::Record& record) -> Status {
                                 keys.push_back(record.key);
                                 return {};
                               }));
  return keys;
}

Status Stop(Cluster& cluster) {
  PXFS_ASSIGN(const auto keys, QueuedMoves(cluster));
  std::vector<meta::RecordWrite> gone;
  for (const std::string& key : keys) gone.push_back({key, std::nullopt});
  PXFS_TRY(cluster.metadata().WriteRecords(gone, /*sync=*/true));
  std::printf("%s not moved\n", Count(keys.size(), "file").c_str());
  return {};
}

Status Await(Cluster& cluster, const Options& options) {
  constexpr auto kLook = std::chrono::milliseconds(200);
  ProgressLine progress(!options.no_progress);
  PXFS_ASSIGN(auto keys, QueuedMoves(cluster));
  for (const size_t begin = keys.size(); !keys.empty();) {
    progress.Show(begin - std::min(begin, keys.size()), begin,
                  Count(keys.size(), "file") + " to move");
    std::this_thread::sleep_for(kLook);
    PXFS_ASSIGN(keys, QueuedMoves(cluster));
  }
  progress.Clear();
  return {};
}

Status Queue(Cluster& cluster, const Plan& plan, const Options& options) {
  if (!options.rate.empty()) {
    meta::VolumeInfo volume = plan.volume;
    PXFS_ASSIGN(volume.copy_rate, ParseSize(options.rate));
    PXFS_TRY(cluster.metadata().UpdateVolume(volume));
  }
  std::vector<meta::RecordWrite> items;
  for (const InodeId inode : plan.files)
    items.push_back({meta::KeyOf({meta::CopyReason::kRebalance, inode, plan.volume.id.value}), ""});
  return cluster.metadata().WriteRecords(items, /*sync=*/true);
}

Result<int> Rebalance(const Command& command, const Options& options) {
  PXFS_ASSIGN(const auto cluster, OpenCluster(command));
  if (options.stop) {
    PXFS_TRY(Stop(*cluster));
    return kOk;
  }
  if (options.wait) PXFS_TRY(RequireServed(*cluster, "nothing would move"));
  PXFS_ASSIGN(const std::vector<meta::VolumeInfo> listed, cluster->metadata().ListVolumes());
  double mean = 0;
  std::vector<Plan> plans = FullerThanOthers(listed, &mean);
  for (Plan& plan : plans) {
    PXFS_TRY(ChooseFiles(*cluster, plan));
    std::printf("%s is %.0f %% full, all together %.0f %%: %s (%s) %s\n", plan.volume.name.c_str(),
                100 * plan.full, 100 * mean, Count(plan.files.size(), "file").c_str(),
                FormatBytes(plan.bytes).c_str(), options.dry_run ? "would move" : "to move");
    if (!options.dry_run) PXFS_TRY(Queue(*cluster, plan, options));
  }
  if (plans.empty()) std::printf("balanced: all together %.0f %% full\n", 100 * mean);
  if (options.wait && !options.dry_run) PXFS_TRY(Await(*cluster, options));
  return kOk;
}

}  // namespace

void AddVolumeRebalance(CLI::App& group, Command& command) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = AddVerb(group, command, "rebalance",
                           "Move files from volumes that are fuller than the others, while they "
                           "are in use",
                           [&command, options] { return Rebalance(command, *options); });
  verb->add_flag("--wait", options->wait, "Return once all is moved");
  verb->add_flag("--dry-run", options->dry_run, "Say what would move, and change nothing");
  verb->add_flag("--stop", options->stop, "Leave where it is what has not been moved yet");
  verb->add_option("--rate", options->rate,
                   "Bytes a second at most from each volume; stays set (pxfs volume set NAME "
                   "rate=)");
  verb->add_flag("--no-progress", options->no_progress, "No progress on a terminal");
}

}  // namespace pxfs::cli
