#include "tests/support/mounted_cluster.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/mount_table.h"

namespace pxfs::test {
namespace {

namespace filesystem = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kEndLimit(30);
constexpr seconds kStartLimit(30);

// True when the process listens on the Unix socket, reached through its directory so that any
// length will do. What a killed predecessor had just forked may still hold that one's socket.
bool Answers(const std::string& directory, const std::string& name, const Process& process) {
  auto at = OpenAt(AT_FDCWD, directory, O_PATH | O_DIRECTORY);
  if (!at) return false;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = "/proc/self/fd/" + std::to_string(at->get()) + "/" + name;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ucred peer{};
  socklen_t size = sizeof peer;
  return socket &&
         ::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
         ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         peer.pid == process.pid();
}

// Waits until `name` in `directory` answers or the process ends, whichever is first.
Status WaitForSocket(const std::string& directory, const std::string& name, const Process& process,
                     seconds limit) {
  PXFS_TRY(MakeDirectories(directory));
  UniqueFd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!watch || ::inotify_add_watch(watch.get(), directory.c_str(), IN_CREATE | IN_MOVED_TO) < 0)
    return FailErrno(errno, directory);
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!Answers(directory, name, process)) {
    if (process.WaitForEnd(milliseconds(0)))
      return Fail(Code::kUnavailable, "pxfsd ended before it answered");
    if (std::chrono::steady_clock::now() > deadline)
      return Fail(Code::kTimeout, "pxfsd does not answer on " + directory + "/" + name);
    // A socket that exists need not listen yet, so the wait is short even without news.
    pollfd poll_fd{watch.get(), POLLIN, 0};
    if (::poll(&poll_fd, 1, 20) > 0) {
      char events[4096];
      [[maybe_unused]] const ssize_t n = ::read(watch.get(), events, sizeof events);
    }
  }
  return {};
}

// A log line is "TIME PID LEVEL MESSAGE" with one letter for the level, or begins with "[TIME]
// [LEVEL]" before a log has been set up.
bool IsError(const std::string& line) {
  std::istringstream fields(line);
  std::string time, pid, level;
  fields >> time >> pid >> level;
  return level == "E" || level == "C" || line.find("[error]") != std::string::npos ||
         line.find("[critical]") != std::string::npos;
}

std::string RunDirectory(const std::string& cluster_directory) {
  return cluster_directory + "/run";
}

}  // namespace

const char* ToString(Shape shape) { return shape == Shape::kEmbedded ? "embedded" : "daemon"; }

Result<std::unique_ptr<Mount>> Mount::Start(const std::string& cluster_directory,
                                            const std::string& mountpoint,
                                            const std::string& options) {
  PXFS_TRY(MakeDirectories(mountpoint));
  Argv command = {Program("mount.pxfs"), cluster_directory, mountpoint};
  if (!options.empty()) command.insert(command.end(), {"-o", options});
  PXFS_TRY(RunOk(command));
  std::unique_ptr<Mount> mount(new Mount(mountpoint));
  if (MountAt(mountpoint).type != "fuse.pxfs")
    return Fail(Code::kUnavailable,
                mountpoint + ": mount.pxfs returned 0 but nothing is mounted there");
  PXFS_TRY(mount->FindProcesses(cluster_directory));
  return mount;
}

std::string VariantName(Shape shape, const std::string& options) {
  return std::string(ToString(shape)) + (options == "passthrough=off" ? "Relayed" : "Passthrough");
}

Status Mount::FindProcesses(const std::string& cluster_directory) {
  // Of living mounts only: one that was killed leaves its record, and may have been at this place.
  for (const MountRecord& record : ListMountRecords(RunDirectory(cluster_directory))) {
    if (record.mountpoint != mountpoint_) continue;
    record_ = record;
    for (const pid_t pid : {record.supervisor_pid, record.daemon_pid}) {
      if (pid <= 0) return Fail(Code::kInvalid, mountpoint_ + ": its record names no process");
      PXFS_ASSIGN(Process process, Process::Find(pid));
      processes_.push_back(std::move(process));
    }
    return {};
  }
  return Fail(Code::kNotFound,
              mountpoint_ + ": no record of it in " + cluster_directory + "/run/mounts");
}

Mount::~Mount() {
  if (stopped_) return;
  if (const Status stopped = Stop(); !stopped) {
    ADD_FAILURE() << stopped.error().message();
    EXPECT_STATUS(Kill());
  }
}

Status Mount::WaitForProcesses() {
  for (const Process& process : processes_) {
    if (!process.WaitForEnd(kEndLimit))
      return Fail(Code::kTimeout, mountpoint_ + ": process " + std::to_string(process.pid()) +
                                      " of the mount is still there after its end");
  }
  return {};
}

Status Mount::Stop() {
  if (::umount2(mountpoint_.c_str(), 0) != 0) return FailErrno(errno, "umount " + mountpoint_);
  stopped_ = true;
  return WaitForProcesses();
}

Status Mount::Kill() {
  stopped_ = true;
  for (const Process& process : processes_) process.Signal(SIGKILL);
  PXFS_TRY(WaitForProcesses());
  // The kernel has ended the connection; the mount itself stays until somebody takes it away.
  if (::umount2(mountpoint_.c_str(), MNT_DETACH) != 0 && errno != EINVAL)
    return FailErrno(errno, "umount " + mountpoint_);
  return {};
}

Result<Daemon> StartPxfsd(const std::string& cluster_directory, const std::string& log_file) {
  PXFS_ASSIGN(Daemon daemon,
              Daemon::Start({Program("pxfsd"), "--cluster", cluster_directory}, log_file));
  PXFS_TRY(WaitForSocket(cluster_directory + "/run", "pxfs.sock", daemon.process(), kStartLimit));
  return daemon;
}

Status MountedCluster::StartDaemon() {
  if (options_.shape == Shape::kEmbedded) return {};
  const std::string log = cluster_->scratch() / "pxfsd.log";
  auto daemon = StartPxfsd(cluster_->directory(), log);
  if (!daemon) {
    auto said = ReadFile(log);
    return Fail(daemon.error().WithContext(said ? *said : log));
  }
  daemon_ = std::move(*daemon);
  return {};
}

Result<std::unique_ptr<MountedCluster>> MountedCluster::Start(const MountedOptions& options) {
  std::unique_ptr<MountedCluster> mounted(new MountedCluster());
  mounted->options_ = options;
  PXFS_ASSIGN(mounted->cluster_, TemporaryCluster::Create(options.cluster));
  PXFS_TRY(mounted->Restart());
  return mounted;
}

Status MountedCluster::Restart() {
  PXFS_TRY(StartDaemon());
  PXFS_ASSIGN(mount_,
              Mount::Start(cluster_->directory(), cluster_->scratch() / "mnt", options_.options));
  return {};
}

Result<std::unique_ptr<Mount>> MountedCluster::MountAgain(const std::string& name,
                                                          const std::string& options) {
  return Mount::Start(cluster_->directory(), cluster_->scratch() / name, options);
}

MountedCluster::~MountedCluster() {
  if (mount_) EXPECT_STATUS(Stop());
}

Status MountedCluster::Stop() {
  std::unique_ptr<Mount> mount = std::move(mount_);
  if (mount) PXFS_TRY(mount->Stop());
  if (daemon_.process()) {
    PXFS_ASSIGN(const int status, daemon_.Stop(kEndLimit));
    if (status != 0)
      return Fail(Code::kIo,
                  "pxfsd ended with wait status " + std::to_string(status) + " on SIGTERM");
  }
  // Those of killed mounts are gone since the next one was looked up (FindProcesses).
  const std::string records = RunDirectory(cluster_->directory()) + "/mounts";
  if (filesystem::exists(records) && !filesystem::is_empty(records))
    return Fail(Code::kExists, "a record of a mount is left behind in " + records);
  if (const auto errors = LoggedErrors(); !errors.empty())
    return Fail(Code::kIo, "a daemon logged " + std::to_string(errors.size()) +
                               " errors, first: " + errors[0]);
  return {};
}

Status MountedCluster::KillAndRestartDaemon() {
  daemon_.process().Signal(SIGKILL);
  PXFS_TRY(daemon_.Wait(kEndLimit));
  return StartDaemon();
}

Status MountedCluster::Kill() {
  std::unique_ptr<Mount> mount = std::move(mount_);
  if (daemon_.process()) {
    daemon_.process().Signal(SIGKILL);
    PXFS_TRY(daemon_.Wait(kEndLimit));
  }
  return mount->Kill();
}

std::vector<std::string> MountedCluster::LoggedErrors() const {
  const auto expected = [this](const std::string& line) {
    return std::any_of(
        options_.expected_errors.begin(), options_.expected_errors.end(),
        [&](const std::string& part) { return line.find(part) != std::string::npos; });
  };
  std::vector<std::string> errors = LoggedLines("");
  std::erase_if(errors, [&](const std::string& line) { return !IsError(line) || expected(line); });
  return errors;
}

std::vector<std::string> MountedCluster::LoggedLines(const std::string& part) const {
  std::vector<std::string> files = {cluster_->scratch() / "pxfsd.log"};
  const std::string logs = cluster_->directory() + "/log";
  if (filesystem::exists(logs)) {
    for (const auto& entry : filesystem::directory_iterator(logs)) files.push_back(entry.path());
  }
  std::vector<std::string> lines;
  for (const std::string& file : files) {
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
      if (line.find(part) != std::string::npos) lines.push_back(line);
    }
  }
  return lines;
}

}  // namespace pxfs::test
