#include <cstdio>
#include <optional>

#include "base/bytes.h"
#include "base/mount_registry.h"
#include "cli/job_counts.h"
#include "cli/mount_control.h"
#include "cli/output.h"
#include "cli/verbs/verbs.h"
#include "cli/volume_report.h"
#include "volumes/location.h"

namespace pxfs::cli {
namespace {

struct Mounted {
  MountRecord record;
  std::optional<MountUsage> usage;  // none: it is not for us to know, or nobody tells just now
};

struct State {
  ClusterIdentity identity;
  bool served = false;
  std::vector<meta::VolumeInfo> volumes;
  std::vector<Mounted> mounts;
  meta::Statistics statistics;
  std::map<std::string, uint64_t> jobs;
  meta::CopyCensus census;
};

// The mounts of the cluster. What they use is told to root and to who mounted.
std::vector<Mounted> CollectMounts(const ClusterIdentity& identity) {
  constexpr std::chrono::seconds kPatience{1};
  std::vector<Mounted> mounts;
  for (const MountRecord& record : ListMountRecords(identity.run_directory())) {
    const auto usage =
        AskForUsage(MountControlPath(identity.run_directory(), record.supervisor_pid), kPatience);
    // Of a program before this one there is nothing to tell.
    const bool told = usage && usage->open.most != 0;
    mounts.push_back({record, told ? std::optional(*usage) : std::nullopt});
  }
  return mounts;
}

Result<State> Collect(Cluster& cluster) {
  State state;
  state.identity = cluster.identity();
  state.served = !cluster.embedded();
  PXFS_ASSIGN(state.volumes, cluster.metadata().ListVolumes());
  state.mounts = CollectMounts(cluster.identity());
  PXFS_ASSIGN(state.statistics, cluster.metadata().GetStatistics());
  PXFS_ASSIGN(state.jobs, CountJobs(cluster));
  PXFS_ASSIGN(state.census, cluster.metadata().GetCopyCensus());
  return state;
}

nlohmann::json NodesJson(const State& state) {
  std::map<std::string, size_t> volumes_of = {{volumes::NodeName(NodeId()), 0}};
  for (const meta::VolumeInfo& volume : state.volumes) ++volumes_of[volumes::NodeName(volume.node)];
  auto nodes = nlohmann::json::array();
  for (const auto& [name, count] : volumes_of)
    nodes.push_back({{"name", name}, {"volumes", count}});
  return nodes;
}

nlohmann::json ReplicationJson(const State& state) {
  const auto count = [](const meta::CopyCensus::Count& of) {
    return nlohmann::json{{"files", of.files}, {"bytes", of.bytes}};
  };
  const meta::CopyCensus& census = state.census;
  const meta::CopyRates& rates = state.statistics.copying;
  auto lost_on = nlohmann::json::array();
  meta::CopyCensus::Count lost;
  for (const meta::CopyCensus::Loss& loss : census.lost) {
    lost.files += loss.count.files;
    lost.bytes += loss.count.bytes;
    lost_on.push_back(count(loss.count));
    lost_on.back()["volume"] = loss.name;
    lost_on.back()["removed"] = loss.removed;
  }
  return {{"reclaim_queue", state.statistics.reclaim_queue},
          {"orphans", state.statistics.orphans},
          {"queued", census.queued.files},
          {"queued_bytes", census.queued.bytes},
          {"under_replicated", count(census.under_replicated)},
          {"stale", count(census.stale)},
          {"lost", count(lost)},
          {"lost_on", lost_on},
          {"copied_files", rates.files},
          {"copied_bytes", rates.bytes},
          {"dropped_copies", rates.dropped},
          {"given_up", rates.given_up},
          {"bytes_per_second", rates.bytes_per_second}};
}

nlohmann::json UsageJson(const MountUsage& usage) {
  const auto share = [](const MountUsage::Share& of) {
    return nlohmann::json{{"used", of.used}, {"max", of.most}};
  };
  return {{"open", share(usage.open)},
          {"idle", share(usage.idle)},
          {"descriptors", share(usage.descriptors)},
          {"buffer_bytes", share(usage.buffer_bytes)}};
}

nlohmann::json ToJson(const State& state) {
  const meta::Statistics& statistics = state.statistics;
  nlohmann::json json = {{"cluster",
                          {{"name", state.identity.name},
                           {"uuid", state.identity.uuid},
                           {"directory", state.identity.directory},
                           {"served", state.served},
                           {"inodes", statistics.inodes},
                           {"open_for_write", statistics.open_for_write}}},
                         {"volumes", nlohmann::json::array()},
                         {"nodes", NodesJson(state)},
                         {"jobs", state.jobs},
                         {"mounts", nlohmann::json::array()},
                         {"sessions", nlohmann::json::array()},
                         {"cache",
                          {{"inodes", statistics.cached_inodes},
                           {"names", statistics.cached_names},
                           {"max_inodes", statistics.max_inodes}}},
                         {"replication", ReplicationJson(state)}};
  for (const meta::VolumeInfo& volume : state.volumes)
    json["volumes"].push_back(VolumeJson(volume));
  for (const auto& [mount, usage] : state.mounts) {
    json["mounts"].push_back({{"mountpoint", mount.mountpoint},
                              {"supervisor_pid", mount.supervisor_pid},
                              {"daemon_pid", mount.daemon_pid},
                              {"transport", mount.transport},
                              {"passthrough", mount.passthrough}});
    if (usage) json["mounts"].back()["usage"] = UsageJson(*usage);
  }
  for (const meta::SessionInfo& session : statistics.sessions)
    json["sessions"].push_back({{"id", session.id.value},
                                {"description", session.description},
                                {"open_for_write", session.open_for_write}});
  return json;
}

// Only what is not as it should be.
void PrintReplication(const State& state) {
  const auto line = [](const meta::CopyCensus::Count& count, const std::string& what) {
    if (count.files != 0)
      std::printf("copies   %s (%s) %s\n", Count(count.files, "file").c_str(),
                  FormatBytes(count.bytes).c_str(), what.c_str());
  };
  const meta::CopyCensus& census = state.census;
  if (census.queued.files != 0)
    std::printf("copies   %s to look at (%s), %s/s are being copied\n",
                Count(census.queued.files, "item").c_str(),
                FormatBytes(census.queued.bytes).c_str(),
                FormatBytes(state.statistics.copying.bytes_per_second).c_str());
  line(census.under_replicated, "with fewer copies than asked for");
  line(census.stale, "with stale copies");
  for (const meta::CopyCensus::Loss& loss : census.lost)
    line(loss.count, "cannot be read: their only copies are on volume " + loss.name +
                         (loss.removed ? ", which was removed as lost" : ", which is offline"));
}

void Print(const State& state) {
  const meta::Statistics& statistics = state.statistics;
  std::printf("cluster  %s (%s) at %s, %s\n", state.identity.name.c_str(),
              state.identity.uuid.c_str(), state.identity.directory.c_str(),
              state.served ? "served" : "not mounted");
  std::printf("holds    %s, %s open for writing, %s to reclaim\n",
              Count(statistics.inodes, "inode").c_str(),
              Count(statistics.open_for_write, "file").c_str(),
              Count(statistics.reclaim_queue, "object").c_str());
  std::printf("cache    %s, %s, at most %lu of each\n",
              Count(statistics.cached_inodes, "inode").c_str(),
              Count(statistics.cached_names, "name").c_str(), statistics.max_inodes);
  PrintReplication(state);
  for (const auto& [mount, usage] : state.mounts) {
    std::printf("mount    %s (pid %d, transport %s, passthrough %s)\n",
                OneLine(mount.mountpoint).c_str(), mount.daemon_pid, mount.transport.c_str(),
                mount.passthrough ? "on" : "off");
    if (usage)
      std::printf(
          "         %s open (at most %lu), %lu idle (%lu), %lu descriptors (%lu), "
          "buffers of %s (%s)\n",
          Count(usage->open.used, "file").c_str(), usage->open.most, usage->idle.used,
          usage->idle.most, usage->descriptors.used, usage->descriptors.most,
          FormatBytes(usage->buffer_bytes.used).c_str(),
          FormatBytes(usage->buffer_bytes.most).c_str());
  }
  for (const meta::SessionInfo& session : statistics.sessions)
    std::printf("session  %s (%s open for writing)\n", OneLine(session.description).c_str(),
                Count(session.open_for_write, "file").c_str());
  for (const auto& [name, count] : state.jobs)
    if (count != 0) std::printf("jobs     %lu %s\n", count, name.c_str());
  using enum Table::Align;
  Table table({{"VOLUME"},
               {"STATE"},
               {"SIZE", kRight},
               {"FREE", kRight},
               {"OBJECTS", kRight},
               {"PATH"},
               {"PROBLEM"}});
  for (const meta::VolumeInfo& volume : state.volumes)
    table.Add({volume.name, meta::ToString(volume.state), FormatBytes(volume.total_bytes),
               FormatBytes(volume.free_bytes), std::to_string(volume.objects), volume.path,
               OneLine(volume.problem)});
  std::printf("\n%s", table.ToString().c_str());
}

}  // namespace

void AddStatus(CLI::App& app, Command& command) {
  CLI::App* verb = AddVerb(app, command, "status", "What runs: volumes, mounts, sessions",
                           [&command]() -> Result<int> {
                             PXFS_ASSIGN(const auto cluster, OpenCluster(command));
                             PXFS_ASSIGN(const State state, Collect(*cluster));
                             if (command.json)
                               PrintJson(ToJson(state));
                             else
                               Print(state);
                             return kOk;
                           });
  AddJsonOption(*verb, command);
}

}  // namespace pxfs::cli
