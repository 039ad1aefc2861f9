#include <cstdio>
#include <optional>

#include "base/bytes.h"
#include "base/mount_registry.h"
#include "cli/job_counts.h"
#include "cli/output.h"
#include "cli/verbs/verbs.h"
#include "cli/volume_report.h"
#include "meta/copy_queue.h"
#include "volumes/location.h"

namespace pxfs::cli {
namespace {

struct State {
  ClusterIdentity identity;
  bool served = false;
  std::vector<meta::VolumeInfo> volumes;
  std::vector<MountRecord> mounts;
  meta::Statistics statistics;
  std::map<std::string, uint64_t> jobs;
  std::optional<uint64_t> queued_copies;  // of what the caller may know
};

Result<std::optional<uint64_t>> CountQueuedCopies(meta::MetadataService& metadata) {
  constexpr uint32_t kBatch = 1000;
  uint64_t count = 0;
  for (std::string after;;) {
    const auto records = metadata.ScanRecords(meta::kCopyQueuePrefix, after, kBatch);
    if (!records && records.error() == Code::kNotPermitted) return std::optional<uint64_t>();
    if (!records) return Fail(records.error());
    count += records->size();
    if (records->size() < kBatch) return std::optional<uint64_t>(count);
    after = records->back().key.substr(meta::kCopyQueuePrefix.size());
  }
}

Result<State> Collect(Cluster& cluster) {
  State state;
  state.identity = cluster.identity();
  state.served = !cluster.embedded();
  PXFS_ASSIGN(state.volumes, cluster.metadata().ListVolumes());
  state.mounts = ListMountRecords(cluster.identity().run_directory());
  PXFS_ASSIGN(state.statistics, cluster.metadata().GetStatistics());
  PXFS_ASSIGN(state.jobs, CountJobs(cluster));
  PXFS_ASSIGN(state.queued_copies, CountQueuedCopies(cluster.metadata()));
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

nlohmann::json ToJson(const State& state) {
  const meta::Statistics& statistics = state.statistics;
  nlohmann::json json = {
      {"cluster",
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
      {"replication",
       {{"reclaim_queue", statistics.reclaim_queue}, {"orphans", statistics.orphans}}}};
  if (state.queued_copies) json["replication"]["queued"] = *state.queued_copies;
  for (const meta::VolumeInfo& volume : state.volumes)
    json["volumes"].push_back(VolumeJson(volume));
  for (const MountRecord& mount : state.mounts)
    json["mounts"].push_back({{"mountpoint", mount.mountpoint},
                              {"supervisor_pid", mount.supervisor_pid},
                              {"daemon_pid", mount.daemon_pid},
                              {"transport", mount.transport},
                              {"passthrough", mount.passthrough}});
  for (const meta::SessionInfo& session : statistics.sessions)
    json["sessions"].push_back({{"id", session.id.value},
                                {"description", session.description},
                                {"open_for_write", session.open_for_write}});
  return json;
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
  if (state.queued_copies.value_or(0) != 0)
    std::printf("copies   %s to look at\n",
                Count(*state.queued_copies, "item").c_str());
  for (const MountRecord& mount : state.mounts)
    std::printf("mount    %s (pid %d, transport %s, passthrough %s)\n",
                OneLine(mount.mountpoint).c_str(), mount.daemon_pid, mount.transport.c_str(),
                mount.passthrough ? "on" : "off");
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
