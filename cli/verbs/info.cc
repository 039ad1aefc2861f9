#include <algorithm>
#include <cstdio>
#include <ctime>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "cli/hot_report.h"
#include "cli/output.h"
#include "cli/verbs/verbs.h"
#include "volumes/heat_table.h"
#include "volumes/hot_record.h"
#include "volumes/hot_rule.h"
#include "volumes/location.h"

namespace pxfs::cli {
namespace {

const char* TypeOf(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return "file";
    case S_IFDIR:
      return "directory";
    case S_IFLNK:
      return "symlink";
    case S_IFIFO:
      return "fifo";
    case S_IFSOCK:
      return "socket";
    case S_IFCHR:
      return "character device";
    case S_IFBLK:
      return "block device";
    default:
      return "unknown";
  }
}

std::string TimeText(const meta::Timestamp& time) {
  const auto seconds = static_cast<time_t>(time.seconds);
  struct tm parts;
  char day[64], rest[64];
  if (!::localtime_r(&seconds, &parts)) return std::to_string(time.seconds);
  std::strftime(day, sizeof day, "%Y-%m-%d %H:%M:%S", &parts);
  std::snprintf(rest, sizeof rest, ".%09u", time.nanoseconds);
  char zone[16];
  std::strftime(zone, sizeof zone, " %z", &parts);
  return std::string(day) + rest + zone;
}

std::string OctalMode(uint32_t mode) {
  char text[16];
  std::snprintf(text, sizeof text, "%04o", mode & 07777);
  return text;
}

struct Info {
  std::string path;
  meta::Location location;
  meta::PolicyView policy;
  std::string policy_set_on;  // the path of the directory; empty: the defaults
  // Of regular files, where the caller may see the table.
  std::optional<volumes::Heat> heat;
  uint32_t half_life_seconds = 0;
  std::vector<volumes::HotRecord> hot;  // copies that are there, or on their way, for heat
};

// Why the file has the copies that it has.
Status LookAtHeat(Cluster& cluster, Info& info) {
  const InodeId inode = info.location.attr.inode;
  PXFS_ASSIGN(info.hot, volumes::HotRecordsOf(cluster.metadata(), inode));
  const auto table = volumes::HeatTable::OpenExisting(cluster.identity().heat_path());
  if (table) {
    info.heat = (*table)->Get(inode);
    info.half_life_seconds = (*table)->half_life_seconds();
    return {};
  }
  // Never mounted so far, or not for this caller's eyes.
  const Error& error = table.error();
  if (error == Code::kNotFound || error == Code::kAccess) return {};
  return Fail(error);
}

Result<Info> Collect(Cluster& cluster, const std::string& argument) {
  const meta::CallContext ctx = CallerContext();
  Info info;
  PXFS_ASSIGN(const meta::Attr attr, ResolveArgument(cluster, ctx, argument));
  PXFS_ASSIGN(info.path, cluster.metadata().PathOf(attr.inode));
  if (attr.is_regular()) {
    PXFS_ASSIGN(info.location, cluster.metadata().Locate(ctx, attr.inode));
    if (const auto statistics = cluster.metadata().GetStatistics())
      volumes::AddCopiesUnderWay(info.location, statistics->copying.under_way);
    PXFS_TRY(LookAtHeat(cluster, info));
  } else {
    info.location.attr = attr;
  }
  PXFS_ASSIGN(info.policy, cluster.metadata().GetPolicy(attr.inode));
  if (info.policy.set_on) {
    PXFS_ASSIGN(info.policy_set_on, cluster.metadata().PathOf(info.policy.set_on));
  }
  return info;
}

nlohmann::json ToJson(const Info& info, const volumes::VolumeSet& volumes) {
  const meta::Attr& attr = info.location.attr;
  const auto time = [](const meta::Timestamp& t) {
    return nlohmann::json{{"seconds", t.seconds}, {"nanoseconds", t.nanoseconds}};
  };
  nlohmann::json json = volumes::LocationJson(info.location, volumes, info.path);
  json["type"] = TypeOf(attr.mode);
  json["mode"] = OctalMode(attr.mode);
  json["uid"] = attr.uid;
  json["gid"] = attr.gid;
  json["nlink"] = attr.nlink;
  json["blocks"] = attr.blocks;
  json["atime"] = time(attr.atime);
  json["mtime"] = time(attr.mtime);
  json["ctime"] = time(attr.ctime);
  json["btime"] = time(attr.btime);
  json["open_for_write"] = attr.open_for_write;
  json["policy"] = {{"own", meta::ToText(info.policy.own)},
                    {"effective", meta::ToText(info.policy.effective)}};
  volumes::SetText(json["policy"], "set_on", info.policy_set_on);
  if (info.heat) {
    json["heat"] = {{"opens", info.heat->opens},
                    {"bytes", info.heat->bytes},
                    {"half_life_seconds", info.half_life_seconds}};
  }
  json["hot_copies"] = HotCopiesJson(info.hot, volumes);
  for (size_t i = 0; i < info.location.replicas.size(); ++i) {
    const auto& checksum = info.location.replicas[i].checksum;
    json["replicas"][i]["checksum"] =
        checksum ? nlohmann::json("xxh3:" + ToString(*checksum)) : nlohmann::json();
  }
  return json;
}

void PrintCopies(const Info& info, const volumes::VolumeSet& volumes) {
  if (!info.location.attr.is_regular()) return;
  const auto current = static_cast<uint32_t>(std::count_if(
      info.location.replicas.begin(), info.location.replicas.end(),
      [](const meta::Replica& r) { return r.state == meta::ReplicaState::kCurrent; }));
  const volumes::HotRule rule{volumes::HotRuleOptions{}};
  if (info.heat) {
    const uint32_t copies = std::max(1u, current);
    std::printf(
        "heat        %.1f opens, %s, by half each %u s; a further copy from %.0f and %s on\n",
        info.heat->opens, FormatBytes(static_cast<uint64_t>(info.heat->bytes)).c_str(),
        info.half_life_seconds, rule.MakeAt(copies),
        FormatBytes(static_cast<uint64_t>(rule.options().bytes_per_copy * copies)).c_str());
  }
  std::printf("copies      %u; by policy %u, for heat %zu\n", current,
              info.policy.effective.copies.value_or(1), info.hot.size());
  for (const volumes::HotRecord& record : info.hot) {
    std::printf("hot copy    %s, since %s: %s\n", VolumeName(volumes, record.volume).c_str(),
                TimeText({record.since_seconds, 0}).c_str(), record.why.c_str());
  }
}

void Print(const Info& info, const volumes::VolumeSet& volumes) {
  const meta::Attr& attr = info.location.attr;
  std::printf("path        %s\n", OneLine(info.path).c_str());
  std::printf("inode       %lu (%s, %s)\n", attr.inode.value, TypeOf(attr.mode),
              Count(attr.nlink, "link").c_str());
  std::printf("mode        %s, uid %u, gid %u\n", OctalMode(attr.mode).c_str(), attr.uid, attr.gid);
  if (attr.is_regular()) {
    std::printf("size        %lu (%s)\n", attr.size_bytes, FormatBytes(attr.size_bytes).c_str());
    std::printf("generation  %lu%s\n", attr.generation,
                attr.open_for_write ? ", open for writing" : "");
  }
  std::printf("modified    %s\nchanged     %s\naccessed    %s\ncreated     %s\n",
              TimeText(attr.mtime).c_str(), TimeText(attr.ctime).c_str(),
              TimeText(attr.atime).c_str(), TimeText(attr.btime).c_str());
  std::printf(
      "policy      %s (%s)\n", meta::ToText(info.policy.effective).c_str(),
      info.policy_set_on.empty() ? "defaults" : ("set on " + OneLine(info.policy_set_on)).c_str());
  PrintCopies(info, volumes);
  const nlohmann::json json = ToJson(info, volumes);
  for (const nlohmann::json& replica : json["replicas"]) {
    const std::string copied =
        replica.contains("copied")
            ? " (" + FormatBytes(replica["copied"].get<uint64_t>()) + " so far)"
            : "";
    std::printf(
        "replica     %s on %s: %s, %s%s%s, generation %lu%s\n",
        replica["volume"].get<std::string>().c_str(), replica["node"].get<std::string>().c_str(),
        OneLine(replica["object"].get<std::string>()).c_str(),
        replica["state"].get<std::string>().c_str(), copied.c_str(),
        replica["primary"].get<bool>() ? ", primary" : "", replica["generation"].get<uint64_t>(),
        replica["checksum"].is_null() ? ""
                                      : (", " + replica["checksum"].get<std::string>()).c_str());
  }
}

}  // namespace

void AddInfo(CLI::App& app, Command& command) {
  auto path = std::make_shared<std::string>();
  CLI::App* verb = AddVerb(app, command, "info", "Inode, policy, heat and replicas of a path",
                           [&command, path]() -> Result<int> {
                             PXFS_ASSIGN(const auto cluster, OpenCluster(command, *path));
                             PXFS_ASSIGN(const Info info, Collect(*cluster, *path));
                             if (command.json)
                               PrintJson(ToJson(info, cluster->volumes()));
                             else
                               Print(info, cluster->volumes());
                             return kOk;
                           });
  verb->add_option("PATH", *path, "A path inside a mount, or pxfs:/PATH")->required();
  AddJsonOption(*verb, command);
}

}  // namespace pxfs::cli
