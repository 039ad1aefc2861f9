#include <cstdio>
#include <vector>

#include "base/bytes.h"
#include "cli/hot_report.h"
#include "cli/output.h"
#include "cli/verbs/verbs.h"
#include "volumes/heat_table.h"
#include "volumes/hot_record.h"
#include "volumes/location.h"

namespace pxfs::cli {
namespace {

struct HotFile {
  volumes::Heat heat;
  std::string path;
  uint64_t copies = 0;
  std::vector<volumes::HotRecord> hot;  // those of them, there or on their way, that are for heat
};

// The hottest files that are there and that the caller may know of, at most `number`.
Result<std::vector<HotFile>> Collect(Cluster& cluster, const volumes::HeatTable& table,
                                     size_t number) {
  std::vector<HotFile> files;
  for (const volumes::Heat& heat : table.Hottest(table.slots())) {
    if (files.size() == number) break;
    const auto path = cluster.metadata().PathOf(heat.inode);
    if (!path) {
      // Removed since, or without a name.
      if (path.error() == Code::kNotFound || path.error() == Code::kNoData) continue;
      return Fail(path.error());
    }
    const auto location = cluster.metadata().Locate(CallerContext(), heat.inode);
    if (!location && !(location.error() == Code::kNotFound)) return Fail(location.error());
    if (!location) continue;
    uint64_t copies = 0;
    for (const meta::Replica& replica : location->replicas)
      if (replica.state == meta::ReplicaState::kCurrent) ++copies;
    PXFS_ASSIGN(auto hot, volumes::HotRecordsOf(cluster.metadata(), heat.inode));
    files.push_back({heat, *path, copies, std::move(hot)});
  }
  return files;
}

void Print(const std::vector<HotFile>& files) {
  using enum Table::Align;
  Table table(
      {{"OPENS", kRight}, {"BYTES", kRight}, {"COPIES", kRight}, {"FOR HEAT", kRight}, {"PATH"}});
  for (const HotFile& file : files) {
    char opens[32];
    std::snprintf(opens, sizeof opens, "%.1f", file.heat.opens);
    table.Add({opens, FormatBytes(static_cast<uint64_t>(file.heat.bytes)),
               std::to_string(file.copies), std::to_string(file.hot.size()), OneLine(file.path)});
  }
  std::printf("%s", table.ToString().c_str());
}

nlohmann::json ToJson(const std::vector<HotFile>& files, const volumes::HeatTable& table,
                      const volumes::VolumeSet& volumes) {
  nlohmann::json list = nlohmann::json::array();
  for (const HotFile& file : files) {
    nlohmann::json entry{
        {"inode", file.heat.inode.value}, {"node", volumes::NodeName(NodeId())},
        {"opens", file.heat.opens},       {"bytes", file.heat.bytes},
        {"copies", file.copies},          {"hot_copies", HotCopiesJson(file.hot, volumes)}};
    volumes::SetText(entry, "path", file.path);
    list.push_back(std::move(entry));
  }
  return {{"half_life_seconds", table.half_life_seconds()}, {"files", std::move(list)}};
}

Result<int> Hot(const Command& command, size_t number) {
  PXFS_ASSIGN(const auto cluster, OpenCluster(command));
  const auto table = volumes::HeatTable::OpenExisting(cluster->identity().heat_path());
  std::vector<HotFile> files;
  if (table) {
    PXFS_ASSIGN(files, Collect(*cluster, **table, number));
  } else if (!(table.error() == Code::kNotFound)) {  // never mounted so far: nothing is hot
    return Fail(table.error());
  }
  if (command.json)
    PrintJson(table ? ToJson(files, **table, cluster->volumes())
                    : nlohmann::json{{"files", nlohmann::json::array()}});
  else
    Print(files);
  return kOk;
}

}  // namespace

void AddHot(CLI::App& app, Command& command) {
  auto number = std::make_shared<size_t>(20);
  CLI::App* verb = AddVerb(app, command, "hot",
                           "The hottest files of this node now: opens and bytes, each worth half "
                           "after a minute",
                           [&command, number] { return Hot(command, *number); });
  verb->add_option("-n,--number", *number, "How many (20)")->check(CLI::PositiveNumber);
  AddJsonOption(*verb, command);
}

}  // namespace pxfs::cli
