#include "jobs/cli/format.h"

#include <pwd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "jobs/record.h"

namespace pxfs::jobs::cli {
namespace {

using nlohmann::json;

const char* Name(proto::Split split) {
  switch (split) {
    case proto::SPLIT_FILES:
      return "files";
    case proto::SPLIT_VOLUMES:
      return "volumes";
    case proto::SPLIT_COUNT:
      return "count";
    default:
      return "none";
  }
}

json ToJson(const proto::Routes& routes) {
  return {{"fast_path_files", routes.fast_files()}, {"fast_path_bytes", routes.fast_bytes()},
          {"fuse_files", routes.fuse_files()},      {"fuse_bytes", routes.fuse_bytes()},
          {"output_files", routes.output_files()},  {"output_bytes", routes.output_bytes()}};
}

json ToJson(const proto::TaskRecord& task) {
  return {{"task", task.index()},
          {"state", jobs::Name(task.state())},
          {"attempt", task.attempt()},
          {"node", task.node()},
          {"started_ms", task.started_ms()},
          {"ended_ms", task.ended_ms()},
          {"exit_status", task.exit_status()},
          {"message", task.message()},
          {"routes", ToJson(task.routes())},
          {"peak_memory_bytes", task.peak_memory_bytes()},
          {"cpu_ns", task.cpu_ns()}};
}

void Add(proto::Routes& sum, const proto::Routes& part) {
  sum.set_fast_files(sum.fast_files() + part.fast_files());
  sum.set_fast_bytes(sum.fast_bytes() + part.fast_bytes());
  sum.set_fuse_files(sum.fuse_files() + part.fuse_files());
  sum.set_fuse_bytes(sum.fuse_bytes() + part.fuse_bytes());
  sum.set_output_files(sum.output_files() + part.output_files());
  sum.set_output_bytes(sum.output_bytes() + part.output_bytes());
}

}  // namespace

json ToJson(const proto::JobRecord& job) {
  const proto::JobSpec& spec = job.spec();
  json labels = json::object();
  for (const auto& [key, value] : spec.labels()) labels[key] = value;
  return {{"id", job.id()},
          {"name", spec.name()},
          {"state", jobs::Name(job.state())},
          {"uid", job.user().uid()},
          {"gid", job.user().gid()},
          {"command", std::vector<std::string>(spec.command().begin(), spec.command().end())},
          {"image", spec.image()},
          {"inputs", std::vector<std::string>(spec.inputs().begin(), spec.inputs().end())},
          {"output", spec.output()},
          {"result_copies", spec.result_copies()},
          {"split", Name(spec.split())},
          {"cpus", spec.cpus()},
          {"memory_bytes", spec.memory_bytes()},
          {"time_limit_ms", spec.time_limit_ms()},
          {"priority", spec.priority()},
          {"labels", labels},
          {"task_count", job.task_count()},
          {"submitted_ms", job.submitted_ms()},
          {"started_ms", job.started_ms()},
          {"ended_ms", job.ended_ms()},
          {"exit_status", job.exit_status()},
          {"message", job.message()},
          {"waits_for", std::vector<uint64_t>(job.waits_for().begin(), job.waits_for().end())}};
}

json ToJson(const proto::ShowReply& reply) {
  json out = ToJson(reply.job());
  json tasks = json::array();
  proto::Routes sum;
  for (const auto& task : reply.tasks()) {
    tasks.push_back(ToJson(task));
    Add(sum, task.routes());
  }
  out["tasks"] = tasks;
  out["routes"] = ToJson(sum);
  out["reasons"] = std::vector<std::string>(reply.reasons().begin(), reply.reasons().end());
  return out;
}

std::string FormatTime(int64_t ms) {
  if (ms == 0) return "-";
  const std::time_t seconds = ms / 1000;
  std::tm local{};
  ::localtime_r(&seconds, &local);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
  return text;
}

std::string FormatSpan(int64_t from_ms, int64_t to_ms) {
  if (from_ms == 0 || to_ms == 0) return "-";
  const int64_t ms = std::max<int64_t>(to_ms - from_ms, 0);
  const long long seconds = ms / 1000;
  char text[48];
  if (seconds < 60) {
    std::snprintf(text, sizeof text, "%.1fs", static_cast<double>(ms) / 1000);
  } else if (seconds < 3600) {
    std::snprintf(text, sizeof text, "%lldm%02llds", seconds / 60, seconds % 60);
  } else {
    std::snprintf(text, sizeof text, "%lldh%02lldm", seconds / 3600, seconds / 60 % 60);
  }
  return text;
}

std::string FormatCommand(const proto::JobSpec& spec) {
  std::string line;
  for (const auto& word : spec.command()) {
    if (!line.empty()) line += ' ';
    const bool plain =
        !word.empty() && word.find_first_of(" \t\n'\"\\$&|;<>()*?[]#~`!{}") == std::string::npos;
    if (plain) {
      line += word;
      continue;
    }
    line += '\'';
    for (const char c : word) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += '\'';
  }
  return line;
}

std::string UserName(uint32_t uid) {
  const passwd* entry = ::getpwuid(uid);
  return entry ? entry->pw_name : std::to_string(uid);
}

void PrintTable(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - row[i].size() + 2, ' ');
    }
    std::printf("%s\n", line.c_str());
  }
}

}  // namespace pxfs::jobs::cli
