#include "cli/mounts.h"

#include <filesystem>

#include "base/json_file.h"
#include "base/unique_fd.h"

namespace pxfs::cli {
namespace {

// Alive, and one of ours: the number may have been given to another process since.
bool IsDaemon(pid_t pid) {
  if (pid <= 0) return false;
  const auto name = ReadFile("/proc/" + std::to_string(pid) + "/comm", 64);
  return name && name->find("pxfs") != std::string::npos;
}

std::string TextOr(const nlohmann::json& json, const char* key) {
  if (!json.contains(key)) return "";
  const nlohmann::json& value = json[key];
  if (value.is_boolean()) return value.get<bool>() ? "on" : "off";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

pid_t PidOr(const nlohmann::json& json, const char* key) {
  return json.contains(key) && json[key].is_number_integer() ? json[key].get<pid_t>() : 0;
}

}  // namespace

Result<std::vector<Mount>> ListMounts(const ClusterIdentity& identity) {
  std::vector<Mount> mounts;
  std::error_code error;
  std::filesystem::directory_iterator files(identity.run_directory() + "/mounts", error);
  if (error == std::errc::no_such_file_or_directory) return mounts;  // none so far
  if (error) return FailErrno(error.value(), identity.run_directory() + "/mounts");
  for (const auto& file : files) {
    if (file.path().extension() != ".json") continue;
    const auto json = ReadJsonFile(file.path().string());
    if (!json || !json->is_object()) continue;
    Mount mount{TextOr(*json, "mountpoint"), PidOr(*json, "supervisor_pid"),
                PidOr(*json, "daemon_pid"), TextOr(*json, "transport"),
                TextOr(*json, "passthrough")};
    if (IsDaemon(mount.daemon_pid)) mounts.push_back(std::move(mount));
  }
  return mounts;
}

}  // namespace pxfs::cli
