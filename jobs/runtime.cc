#include "jobs/runtime.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/json_file.h"
#include "base/process.h"
#include "base/unique_fd.h"
#include "jobs/bundle.h"

namespace pxfs::jobs {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

constexpr seconds kCreateTimeout{60};
constexpr seconds kCommandTimeout{30};
// Preferred first: crun starts a container in a third of runc's time.
constexpr const char* kRuntimes[] = {"crun", "runc"};

// Runs in a new mount namespace. $1: the image's directory, $2: the bundle, $3: the image's
// descriptor; then three words for each bind: its index, path and descriptor; "--"; the rest: the
// runtime's command. A tmpfs as the upper layer takes the mount points that the runtime makes, so
// that the image stays as it is.
constexpr const char* kCreateScript = R"(
mount -t tmpfs -o mode=755 tmpfs "$2/scratch"
mkdir "$2/scratch/upper" "$2/scratch/work" "$2/scratch/binds"
cd "$1"
[ . -ef "$3" ] || { echo "$1 was replaced while it was mounted" >&2; exit 1; }
mount -t overlay -o "lowerdir=.,upperdir=$2/scratch/upper,workdir=$2/scratch/work" overlay "$2/rootfs"
cd "$2"
shift 3
while [ "$1" != -- ]; do
  if [ -d "$3" ]; then mkdir "scratch/binds/$1"; else : >"scratch/binds/$1"; fi
  mount --bind "$2" "scratch/binds/$1"
  [ "scratch/binds/$1" -ef "$3" ] || { echo "$2 was replaced while it was mounted" >&2; exit 1; }
  shift 3
done
shift
exec "$@")";

// crun 1.8 refuses hybrid cgroups, but works on them where it does not see the second version's
// part.
constexpr const char* kHideUnified =
    "umount /sys/fs/cgroup/unified 2>/dev/null || true; exec \"$@\"";

bool IsHybrid() { return ::access("/sys/fs/cgroup/unified/cgroup.procs", F_OK) == 0; }

std::string StateRoot(const std::string& run_directory, const std::string& runtime) {
  return run_directory + "/" + runtime;
}

// conmon's report: {"data": PID} or {"data": -1, "message": "..."}.
Result<pid_t> ParseReport(const std::string& report) {
  const auto json = nlohmann::json::parse(report, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("data") || !json["data"].is_number_integer()) {
    return Fail(Code::kIo, "conmon ended without a report");
  }
  const pid_t pid = json["data"].get<pid_t>();
  if (pid > 0) return pid;
  std::string message = json.value("message", "");
  while (!message.empty() && message.back() == '\n') message.pop_back();
  // The runtime logs as key="value"; people want the last msg.
  if (const size_t at = message.rfind("msg=\""); at != std::string::npos) {
    message = message.substr(at + 5);
    if (!message.empty() && message.back() == '"') message.pop_back();
  }
  return Fail(Code::kIo, message.empty() ? "the container could not be created" : message);
}

Result<std::string> ReadReport(int fd, std::chrono::steady_clock::time_point deadline) {
  std::string report;
  char buffer[4096];
  while (report.find('\n') == std::string::npos && report.size() < (1 << 20)) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now())
            .count();
    if (left <= 0) return Fail(Code::kTimeout, "the container was not created in time");
    pollfd poll_fd{fd, POLLIN, 0};
    if (::poll(&poll_fd, 1, static_cast<int>(left)) <= 0) continue;
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n == 0) break;
    if (n < 0 && errno != EINTR) return FailErrno(errno, "conmon's report");
    if (n > 0) report.append(buffer, static_cast<size_t>(n));
  }
  return report;
}

Result<pid_t> ReadPidFile(const std::string& path) {
  PXFS_ASSIGN(const std::string text, ReadFile(path, 64));
  pid_t pid = 0;
  std::from_chars(text.data(), text.data() + text.size(), pid);
  if (pid <= 0) return Fail(Code::kCorruption, path + " holds no process id");
  return pid;
}

}  // namespace

std::string BindSource(const std::string& bundle, size_t index) {
  return bundle + "/scratch/binds/" + std::to_string(index);
}

OciRuntime::OciRuntime(std::string name, std::string run_directory)
    : name_(std::move(name)),
      program_(FindProgram(name_)),
      run_directory_(std::move(run_directory)) {}

std::vector<std::string> OciRuntime::CommandPrefix() const {
  std::vector<std::string> prefix;
  if (name_ == "crun" && IsHybrid()) {
    prefix = {"unshare", "--mount", "--", "/bin/sh", "-ec", kHideUnified, "pxfs"};
  }
  for (const auto& word : {program_, std::string("--root"), StateRoot(run_directory_, name_)}) {
    prefix.push_back(word);
  }
  return prefix;
}

Result<OciRuntime> OciRuntime::Choose(const std::string& run_directory) {
  if (FindProgram("conmon").empty()) {
    return Fail(Code::kNotSupported, "conmon is not installed; install the package conmon");
  }
  std::string reasons;
  for (const char* name : kRuntimes) {
    OciRuntime runtime(name, run_directory);
    if (runtime.program_.empty()) {
      reasons += std::string(reasons.empty() ? "" : "; ") + name + " is not installed";
      continue;
    }
    const auto tried = runtime.Try();
    if (tried) return runtime;
    reasons += std::string(reasons.empty() ? "" : "; ") + name + ": " + tried.error().message();
  }
  return Fail(Code::kNotSupported, "no container runtime works on this node: " + reasons);
}

std::string OciRuntime::ProbeId(const std::string& run_directory) {
  return "pxfs-" + fs::path(run_directory).filename().string() + "-probe";
}

// Creates a container on the node's own root and removes it again.
Status OciRuntime::Try() const {
  const std::string id = ProbeId(run_directory_);
  const std::string bundle = run_directory_ + "/" + id;
  PXFS_TRY(MakeDirectories(bundle, 0700));
  Container container;
  container.command = {"/bin/sh", "-c", ":"};
  container.hostname = "pxfs";
  container.cgroup_path = "/" + id;
  container.tmp_bytes = 1 << 20;
  Status tried = WriteJsonFile(bundle + "/config.json", OciConfig(container, "rootfs"), 0600);
  if (tried) tried = RunToEnd({id, bundle, {"/", "/"}, bundle + "/log"});
  const auto deleted = Delete(id);
  std::error_code error;
  fs::remove_all(bundle, error);
  return tried ? deleted : tried;
}

Status OciRuntime::RunToEnd(const CreateContainer& request) const {
  PXFS_ASSIGN(const ContainerProcesses processes, Create(request));
  PXFS_ASSIGN(const UniqueFd monitor, OpenPidfd(processes.monitor));
  PXFS_TRY(Start(request.id));
  if (!AwaitEnd(monitor, kCommandTimeout)) {
    return Fail(Code::kTimeout, "a container that does nothing did not end");
  }
  const auto status = ExitStatus(request.id);
  if (status != 0) return Fail(Code::kIo, "a container that does nothing failed");
  return {};
}

Result<ContainerProcesses> OciRuntime::Create(const CreateContainer& request) const {
  for (const char* directory : {"rootfs", "scratch"}) {
    PXFS_TRY(MakeDirectories(request.bundle + "/" + directory, 0755));
  }
  const std::string exits = run_directory_ + "/exits";
  PXFS_TRY(MakeDirectories(exits, 0700));
  PXFS_TRY(MakeDirectories(StateRoot(run_directory_, name_), 0700));

  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return FailErrno(errno, "pipe");
  UniqueFd read_end(fds[0]), write_end(fds[1]);

  ProgramCall conmon;
  conmon.argv = {"conmon",
                 "--api-version",
                 "1",
                 "--cid",
                 request.id,
                 "--cuuid",
                 request.id,
                 "--bundle",
                 request.bundle,
                 "--exit-dir",
                 exits,
                 "--full-attach",  // sockets in the bundle, not in a shared directory of CRI-O's
                 "--container-pidfile",
                 request.bundle + "/init.pid",
                 "--conmon-pidfile",
                 request.bundle + "/monitor.pid",
                 "--log-path",
                 "k8s-file:" + request.log_file,
                 "--no-sync-log",
                 "--runtime",
                 FindProgram("unshare")};
  std::vector<std::string> create = {"--mount",         "--",   "/bin/sh",          "-ec",
                                     kCreateScript,     "pxfs", request.image.path, request.bundle,
                                     request.image.held};
  for (size_t i = 0; i < request.binds.size(); ++i) {
    for (const auto& word : {std::to_string(i), request.binds[i].path, request.binds[i].held}) {
      create.push_back(word);
    }
  }
  create.push_back("--");
  for (auto& word : CommandPrefix()) create.push_back(std::move(word));
  for (auto& word : create) {
    conmon.argv.push_back("--runtime-arg=" + word);
  }
  conmon.extra_env = {"_OCI_SYNCPIPE=" + std::to_string(write_end.get())};
  conmon.inherited_fds = {write_end.get()};
  conmon.directory = request.bundle;
  const auto deadline = std::chrono::steady_clock::now() + kCreateTimeout;
  PXFS_TRY(RunChecked(conmon, kCreateTimeout));
  write_end.reset();
  PXFS_ASSIGN(const std::string report, ReadReport(read_end.get(), deadline));
  ContainerProcesses processes;
  PXFS_ASSIGN(processes.init, ParseReport(report));
  PXFS_ASSIGN(processes.monitor, ReadPidFile(request.bundle + "/monitor.pid"));
  return processes;
}

Status OciRuntime::Start(const std::string& id) const {
  ProgramCall command;
  command.argv = CommandPrefix();
  command.argv.insert(command.argv.end(), {"start", id});
  auto started = RunChecked(command, kCommandTimeout);
  if (started) return started;
  const auto state = State(id);
  return state && (*state == "running" || *state == "stopped") ? Status{} : started;
}

Result<std::string> OciRuntime::State(const std::string& id) const {
  ProgramCall command;
  command.argv = CommandPrefix();
  command.argv.insert(command.argv.end(), {"state", id});
  PXFS_ASSIGN(const ProgramEnd finished, RunProgram(command, kCommandTimeout));
  const auto json = nlohmann::json::parse(finished.output, nullptr, /*allow_exceptions=*/false);
  if (finished.status != 0 || !json.is_object() || !json.contains("status") ||
      !json["status"].is_string()) {
    return Fail(Code::kIo, name_ + " does not know the state of " + id);
  }
  return json["status"].get<std::string>();
}

std::optional<int> OciRuntime::ExitStatus(const std::string& id) const {
  const auto text = ReadFile(run_directory_ + "/exits/" + id, 64);
  if (!text) return std::nullopt;
  int status = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), status);
  if (error != std::errc() || end == text->data()) return std::nullopt;
  return status;
}

Status OciRuntime::Delete(const std::string& id) const {
  const std::string state = StateRoot(run_directory_, name_) + "/" + id;
  if (name_ == "crun" && ::access((state + "/status").c_str(), F_OK) == 0 &&
      ::access((state + "/config.json").c_str(), F_OK) != 0) {
    // crun was killed between writing the two, and refuses to delete what it left. Processes are in
    // the container's cgroup.
    std::error_code error;
    fs::remove_all(state, error);
    if (error) return FailErrno(error.value(), state);
  }
  if (::access(state.c_str(), F_OK) == 0) {
    ProgramCall command;
    command.argv = CommandPrefix();
    command.argv.insert(command.argv.end(), {"delete", "--force", id});
    PXFS_TRY(RunChecked(command, kCommandTimeout));
  }
  if (::unlink((run_directory_ + "/exits/" + id).c_str()) != 0 && errno != ENOENT) {
    return FailErrno(errno, "exit status of " + id);
  }
  return {};
}

std::vector<std::string> OciRuntime::List(const std::string& run_directory) {
  std::vector<std::string> ids;
  for (const char* name : kRuntimes) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(StateRoot(run_directory, name), error)) {
      if (entry.is_directory(error)) ids.push_back(entry.path().filename());
    }
  }
  return ids;
}

Status OciRuntime::DeleteAny(const std::string& run_directory, const std::string& id) {
  Status status;
  for (const char* name : kRuntimes) {
    const OciRuntime runtime(name, run_directory);
    if (auto deleted = runtime.Delete(id); !deleted) status = std::move(deleted);
  }
  return status;
}

}  // namespace pxfs::jobs
