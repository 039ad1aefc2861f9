#include "base/mount_registry.h"

#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "base/json_file.h"
#include "base/process.h"
#include "base/unique_fd.h"

namespace pxfs {
namespace {

std::string DirectoryOf(const std::string& run_directory) { return run_directory + "/mounts"; }

std::string FileOf(const std::string& run_directory, pid_t supervisor) {
  return DirectoryOf(run_directory) + "/" + std::to_string(supervisor) + ".json";
}

// What a daemon that was killed while it wrote the record left beside it.
void RemoveTemporaries(const std::string& run_directory, pid_t supervisor) {
  const std::string record = FileOf(run_directory, supervisor);
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(DirectoryOf(run_directory), error)) {
    if (file.path().string().starts_with(record + ".tmp.")) ::unlink(file.path().c_str());
  }
}

}  // namespace

uint64_t StartOfProcess(pid_t pid) {
  const auto stat = ReadFile("/proc/" + std::to_string(pid) + "/stat", 4096);
  // The name is in parentheses and may hold some itself; the start is the 20th field behind it.
  const size_t name_end = stat ? stat->rfind(')') : std::string::npos;
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(stat->substr(name_end + 1));
  std::string skipped;
  for (int i = 0; i < 19; ++i) fields >> skipped;
  uint64_t start = 0;
  return fields >> start ? start : 0;
}

bool IsAlive(pid_t pid, uint64_t started) {
  // One that has ended and that nobody has waited for yet has a number and a start.
  return pid > 0 && !HasEnded(pid) && StartOfProcess(pid) == started;
}

std::string MountControlPath(const std::string& run_directory, pid_t supervisor_pid) {
  return DirectoryOf(run_directory) + "/" + std::to_string(supervisor_pid) + ".sock";
}

Status WriteMountRecord(const std::string& run_directory, const MountRecord& record) {
  PXFS_TRY(MakeDirectories(DirectoryOf(run_directory)));
  RemoveTemporaries(run_directory, record.supervisor_pid);
  return WriteJsonFile(FileOf(run_directory, record.supervisor_pid),
                       {{"mountpoint", record.mountpoint},
                        {"supervisor_pid", record.supervisor_pid},
                        {"supervisor_started", StartOfProcess(record.supervisor_pid)},
                        {"daemon_pid", record.daemon_pid},
                        {"version", record.version},
                        {"transport", record.transport},
                        {"passthrough", record.passthrough},
                        {"root_squash", record.root_squash},
                        {"serves_cluster", record.serves_cluster}});
}

void RemoveMountRecord(const std::string& run_directory, pid_t supervisor_pid) {
  RemoveTemporaries(run_directory, supervisor_pid);
  ::unlink(FileOf(run_directory, supervisor_pid).c_str());
  ::unlink(MountControlPath(run_directory, supervisor_pid).c_str());
}

std::vector<MountRecord> ListMountRecords(const std::string& run_directory) {
  std::vector<MountRecord> records;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(DirectoryOf(run_directory), error)) {
    if (file.path().extension() != ".json") continue;
    auto json = ReadJsonFile(file.path());
    if (!json || !json->is_object()) continue;  // being replaced, or not ours
    MountRecord record;
    record.mountpoint = json->value("mountpoint", "");
    record.supervisor_pid = json->value("supervisor_pid", 0);
    record.supervisor_started = json->value("supervisor_started", uint64_t{0});
    record.daemon_pid = json->value("daemon_pid", 0);
    record.version = json->value("version", "");
    record.transport = json->value("transport", "");
    record.passthrough = json->value("passthrough", false);
    record.root_squash = json->value("root_squash", false);
    record.serves_cluster = json->value("serves_cluster", false);
    if (IsAlive(record.supervisor_pid, record.supervisor_started)) {
      records.push_back(std::move(record));
    } else {
      ::unlink(file.path().c_str());
      ::unlink(MountControlPath(run_directory, record.supervisor_pid).c_str());
    }
  }
  return records;
}

}  // namespace pxfs
