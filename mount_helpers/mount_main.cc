// mount.pxfs: what mount(8) calls for `mount -t pxfs SOURCE MOUNTPOINT`.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "base/cluster_directory.h"
#include "base/unique_fd.h"
#include "mount_helpers/daemon.h"
#include "mount_helpers/options.h"
#include "mount_helpers/program.h"
#include "mount_helpers/supervisor.h"

namespace pxfs::mount_helpers {
namespace {

constexpr int kUsageError = 2;

int Complain(const std::string& problem, int status = 1) {
  std::fprintf(stderr, "mount.pxfs: %s\n", problem.c_str());
  return status;
}

// Whether the topmost mount at this path is one of ours.
bool IsMounted(const std::string& mountpoint) {
  bool ours = false;
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string source, at, type;
    if (fields >> source >> at >> type && UnescapeMountField(at) == mountpoint)
      ours = type == "fuse.pxfs";
  }
  return ours;
}

Status CheckOrdinaryUser(const MountOptions& options) {
  if (!OwnsCluster(options.cluster_directory))
    return Fail(Code::kNotPermitted,
                options.cluster_directory +
                    ": somebody else's; only root can mount it, others only clusters of their own");
  PXFS_TRY(FusermountOptions(options));
  return {};
}

// What can be known to be wrong before anything is started.
Status Check(const MountOptions& options) {
  struct stat st;
  if (::stat(options.mountpoint.c_str(), &st) != 0)
    return FailErrno(errno, "mount point " + options.mountpoint);
  if (!S_ISDIR(st.st_mode))
    return Fail(Code::kNotDirectory, "mount point " + options.mountpoint + ": not a directory");
  const bool mounted = IsMounted(options.mountpoint);
  if (options.remount) {
    if (mounted && ::geteuid() != 0)
      return Fail(Code::kNotPermitted, options.mountpoint + ": only root can remount");
    if (mounted) return {};
    return Fail(Code::kInvalid, options.mountpoint + ": pxfs is not mounted there; mount it first");
  }
  if (mounted)
    return Fail(Code::kBusy,
                options.mountpoint + ": pxfs is mounted there already; umount it first");
  if (::stat(options.source.c_str(), &st) != 0 && options.source.find(":/") != std::string::npos)
    return Fail(Code::kNotSupported,
                options.source +
                    ": this version mounts cluster directories of this host only, not other nodes");
  PXFS_TRY(ReadIdentity(options.cluster_directory));
  return ::geteuid() == 0 ? Status() : CheckOrdinaryUser(options);
}

Status Remount(const MountOptions& options) {
  if (::mount(options.source.c_str(), options.mountpoint.c_str(), nullptr,
              MS_REMOUNT | options.flags, nullptr) != 0)
    return FailErrno(errno, "remounting " + options.mountpoint);
  return {};
}

void Detach() {
  ::setsid();
  if (::chdir("/") != 0) return;
  UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null.get(), fd);
}

// A line of the daemon's. Empty: it died without a word.
std::string ReadLine(int fd) {
  std::string line;
  for (char c; line.size() < 65536;) {
    const ssize_t n = ::read(fd, &c, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0 || c == '\n') break;
    line += c;
  }
  return line;
}

// "ok" or what went wrong, after the daemon's warnings have been passed on.
std::string ReadStatus(int fd) {
  for (;;) {
    std::string line = ReadLine(fd);
    if (!line.starts_with(kWarning)) return line;
    Complain(line);
  }
}

int MountAndWait(const MountOptions& options, const std::vector<std::string>& arguments) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Complain(std::string("pipe: ") + std::strerror(errno));
  UniqueFd reader(ends[0]), writer(ends[1]);
  if (options.foreground) {
    // Errors are in the log, which is standard error.
    reader.reset();
    return Supervise(options, arguments, std::move(writer));
  }
  const pid_t child = ::fork();
  if (child < 0) return Complain(std::string("fork: ") + std::strerror(errno));
  if (child == 0) {
    reader.reset();
    Detach();
    ::_exit(Supervise(options, arguments, std::move(writer)));
  }
  writer.reset();
  const std::string status = ReadStatus(reader.get());
  if (status.empty())
    return Complain("the daemon of " + options.mountpoint + " died; see the log in " +
                    options.cluster_directory + "/log");
  if (status != "ok") return Complain(status);
  struct stat st;
  if (::stat(options.mountpoint.c_str(), &st) != 0)
    return Complain(options.mountpoint + " does not answer: " + std::strerror(errno));
  return 0;
}

// What a supervisor starts or becomes: --daemon | --check | --supervise STATE..., then
// CLUSTER MOUNTPOINT ARGUMENT... (mount_helpers/program.h).
struct Role {
  std::string name;
  std::vector<std::string> words;
  std::string cluster_directory, mountpoint;
};

// Takes its words away from the arguments of mount.pxfs.
std::optional<Role> TakeRole(std::vector<std::string>& arguments) {
  static const std::map<std::string, size_t> kWords = {
      {"--daemon", 0}, {"--check", 0}, {"--supervise", kSupervisorWords}};
  const auto found = arguments.empty() ? kWords.end() : kWords.find(arguments[0]);
  if (found == kWords.end() || arguments.size() < found->second + 3) return std::nullopt;
  const auto places = arguments.begin() + 1 + static_cast<ptrdiff_t>(found->second);
  Role role{arguments[0], {arguments.begin() + 1, places}, places[0], places[1]};
  arguments.erase(arguments.begin(), places + 2);
  return role;
}

int Play(const Role& role, const std::vector<std::string>& arguments) {
  auto options = ParseArguments(arguments);
  if (!options) return Complain(options.error().message(), kUsageError);
  options->cluster_directory = role.cluster_directory;
  options->mountpoint = role.mountpoint;
  if (role.name == "--daemon") return RunDaemon(*options);
  if (role.name == "--check") return CheckMount(*options);
  const auto state = ParseSupervisorState(role.words);
  if (!state) return Complain(state.error().message(), kUsageError);
  return GoOnSupervising(*options, arguments, *state);
}

int Main(std::vector<std::string> arguments) {
  for (const auto& argument : arguments) {
    if (argument == "--help" || argument == "-h") {
      std::fputs(kUsage, stdout);
      return 0;
    }
    if (argument == "--version" || argument == "-V") {
      std::puts("mount.pxfs " PXFS_VERSION);
      return 0;
    }
  }
  if (const auto role = TakeRole(arguments)) return Play(*role, arguments);
  auto options = ParseArguments(arguments);
  if (!options) return Complain(options.error().message(), kUsageError);
  if (auto resolved = ResolvePaths(*options); !resolved)
    return Complain(resolved.error().message());
  if (auto checked = Check(*options); !checked) return Complain(checked.error().message());
  if (options->remount) {
    auto done = Remount(*options);
    return done ? 0 : Complain(done.error().message());
  }
  return MountAndWait(*options, arguments);
}

}  // namespace
}  // namespace pxfs::mount_helpers

int main(int argc, char** argv) {
  return pxfs::mount_helpers::Main(std::vector<std::string>(argv + 1, argv + argc));
}
