#include "jobs/bundle.h"

#include <sys/resource.h>

#include <cmath>
#include <map>

#include "jobs/seccomp.h"

namespace pxfs::jobs {
namespace {

using nlohmann::json;

constexpr int64_t kCpuPeriodUs = 100'000;
constexpr int64_t kLeastCpuQuotaUs = 1'000;  // the kernel's own minimum
constexpr int64_t kMostProcesses = 32'768;
constexpr uint64_t kSoftOpenFiles = 1'024;
constexpr uint64_t kShmBytes = 64 << 20;

json ToJson(const ContainerMount& mount) {
  return {{"destination", mount.destination},
          {"type", mount.type},
          {"source", mount.source},
          {"options", mount.options}};
}

std::vector<ContainerMount> BasicMounts(const Container& container) {
  const std::string shm_size = "size=" + std::to_string(kShmBytes);
  const std::string tmp_size = "size=" + std::to_string(container.tmp_bytes);
  return {
      {"/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}},
      {"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}},
      {"/dev/pts",
       "devpts",
       "devpts",
       {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
      {"/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", shm_size}},
      {"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}},
      {"/sys", container.host_network ? "bind" : "sysfs", container.host_network ? "/sys" : "sysfs",
       container.host_network ? std::vector<std::string>{"bind", "nosuid", "noexec", "nodev", "ro"}
                              : std::vector<std::string>{"nosuid", "noexec", "nodev", "ro"}},
      {"/tmp", "tmpfs", "tmpfs", {"nosuid", "nodev", "mode=1777", tmp_size}},
      // Also hides the sockets of the node's services from the image "host".
      {"/run", "tmpfs", "tmpfs", {"nosuid", "nodev", "noexec", "mode=755", "size=16m"}},
  };
}

// Root in the container gets what programs that change owners or users need, which is what root is
// expected to do with its files; everybody else gets nothing.
json Capabilities(const proto::User& user) {
  const json set = user.uid() == 0 ? json{"CAP_CHOWN",  "CAP_DAC_OVERRIDE", "CAP_FOWNER",
                                          "CAP_FSETID", "CAP_SETGID",       "CAP_SETUID"}
                                   : json::array();
  return {{"bounding", set}, {"effective", set}, {"permitted", set}};
}

json Environment(const std::vector<std::string>& env) {
  std::map<std::string, std::string> variables;
  for (const auto& item : env) variables[item.substr(0, item.find('='))] = item;
  json list = json::array();
  for (const auto& [name, item] : variables) list.push_back(item);
  return list;
}

json Limits() {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  const json open_files = {{"type", "RLIMIT_NOFILE"},
                           {"hard", files.rlim_max},
                           {"soft", std::min<uint64_t>(kSoftOpenFiles, files.rlim_max)}};
  const json cores = {{"type", "RLIMIT_CORE"}, {"hard", 0}, {"soft", 0}};
  return json::array({open_files, cores});
}

json Process(const Container& container) {
  json groups = json::array();
  for (const uint32_t group : container.user.groups()) groups.push_back(group);
  return {
      {"terminal", false},
      {"user",
       {{"uid", container.user.uid()}, {"gid", container.user.gid()}, {"additionalGids", groups}}},
      {"args", container.command},
      {"env", Environment(container.env)},
      {"cwd", container.workdir},
      {"capabilities", Capabilities(container.user)},
      {"rlimits", Limits()},
      {"noNewPrivileges", true}};
}

json Resources(const Container& container) {
  const auto quota =
      std::max<int64_t>(std::llround(container.cpus * kCpuPeriodUs), kLeastCpuQuotaUs);
  const json no_device = {{"allow", false}, {"access", "rwm"}};
  json resources = {{"devices", json::array({no_device})},
                    {"cpu", {{"quota", quota}, {"period", kCpuPeriodUs}}},
                    {"pids", {{"limit", kMostProcesses}}}};
  if (container.memory_bytes != 0) {
    resources["memory"] = {{"limit", container.memory_bytes}};
  }
  return resources;
}

json Namespaces(bool host_network) {
  json list = json::array();
  for (const char* type : {"pid", "ipc", "uts", "mount", "cgroup"})
    list.push_back({{"type", type}});
  if (!host_network) list.push_back({{"type", "network"}});
  return list;
}

// In the option string of overlayfs, ':' separates layers and ',' options.
std::string EscapeLayer(const std::string& path) {
  std::string escaped;
  for (const char c : path) {
    if (c == ':' || c == ',' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

}  // namespace

ContainerMount BindMount(std::string source, std::string destination, bool read_only) {
  return {std::move(destination),
          "bind",
          std::move(source),
          {"bind", read_only ? "ro" : "rw", "nosuid", "nodev"}};
}

ContainerMount OverlayMount(const std::vector<std::string>& layers, std::string destination) {
  std::string lower = "lowerdir=";
  for (size_t i = 0; i < layers.size(); ++i) lower += (i ? ":" : "") + EscapeLayer(layers[i]);
  return {std::move(destination), "overlay", "overlay", {"ro", "nosuid", "nodev", lower}};
}

json OciConfig(const Container& container, const std::string& rootfs) {
  json mounts = json::array();
  for (const auto& mount : BasicMounts(container)) mounts.push_back(ToJson(mount));
  for (const auto& mount : container.mounts) mounts.push_back(ToJson(mount));
  return {{"ociVersion", "1.0.2"},
          {"process", Process(container)},
          {"root", {{"path", rootfs}, {"readonly", true}}},
          {"hostname", container.hostname},
          {"mounts", mounts},
          {"linux",
           {{"resources", Resources(container)},
            {"cgroupsPath", container.cgroup_path},
            {"namespaces", Namespaces(container.host_network)},
            {"seccomp", SeccompProfile()},
            {"maskedPaths",
             {"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
              "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi",
              "/sys/firmware", "/sys/devices/virtual/powercap"}},
            {"readonlyPaths",
             {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}}}}};
}

}  // namespace pxfs::jobs
