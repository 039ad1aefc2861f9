#include "mount_helpers/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/logging.h"
#include "fs/connection_state.h"

namespace pxfs::mount_helpers {
namespace {

// Between the ends of daemons that live less than kStableTime: of those that answer nothing, and of
// those that do. The one keeps a daemon that cannot work from taking a processor for itself, the
// other bounds how long programs wait where one request in many kills it.
constexpr std::chrono::milliseconds kMaxRestartDelay{1000};
constexpr std::chrono::milliseconds kMaxWorkingRestartDelay{20};
constexpr std::chrono::milliseconds kStableTime{500};

int Report(const UniqueFd& status, const std::string& problem) {
  const std::string line = problem + "\n";
  if (auto written = WriteAll(status.get(), line); !written) log::error("{}", problem);
  return 1;
}

// Starts a daemon: this program again, with the inherited descriptors where it expects them.
Result<pid_t> StartDaemon(const MountOptions& options, const std::vector<std::string>& arguments,
                          int device, int state, int status) {
  std::vector<std::string> words = {"mount.pxfs", "--daemon", options.cluster_directory,
                                    options.mountpoint};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) return FailErrno(errno, "fork");
  if (pid > 0) return pid;
  // The child. Move the descriptors out of the way first, then to their numbers.
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int fds[] = {device, state, status};
  int moved[3];
  for (int i = 0; i < 3; ++i) moved[i] = ::fcntl(fds[i], F_DUPFD, 16);
  for (int i = 0; i < 3; ++i) {
    if (moved[i] < 0 || ::dup2(moved[i], kDeviceFd + i) < 0) ::_exit(126);
    ::close(moved[i]);
  }
  ::execv("/proc/self/exe", argv.data());
  ::_exit(127);
}

class Supervisor {
 public:
  Supervisor(const MountOptions& options, const std::vector<std::string>& arguments,
             UniqueFd status)
      : options_(options), arguments_(arguments), status_(std::move(status)) {}

  int Run();

 private:
  Status Prepare();
  // Waits for the daemon or a signal. True: the daemon has ended, with `wait_status_`.
  bool WaitForDaemon(pid_t daemon);
  void Pause(std::chrono::milliseconds time);
  void Unmount();

  const MountOptions& options_;
  const std::vector<std::string>& arguments_;
  UniqueFd status_;
  UniqueFd device_, signals_;
  std::unique_ptr<fs::ConnectionState> state_;
  int wait_status_ = 0;
};

Status Supervisor::Prepare() {
  PXFS_ASSIGN(device_, OpenAt(AT_FDCWD, "/dev/fuse", O_RDWR));
  PXFS_ASSIGN(state_, fs::ConnectionState::Create());
  sigset_t wanted;
  sigemptyset(&wanted);
  for (int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&wanted, signal);
  if (::sigprocmask(SIG_BLOCK, &wanted, nullptr) != 0) return FailErrno(errno, "sigprocmask");
  signals_ = UniqueFd(::signalfd(-1, &wanted, SFD_CLOEXEC));
  if (!signals_) return FailErrno(errno, "signalfd");
  return {};
}

void Supervisor::Unmount() {
  if (::umount2(options_.mountpoint.c_str(), MNT_DETACH) != 0 && errno != EINVAL)
    log::error("unmounting {}: {}", options_.mountpoint, std::strerror(errno));
}

bool Supervisor::WaitForDaemon(pid_t daemon) {
  for (;;) {
    const pid_t ended = ::waitpid(daemon, &wait_status_, WNOHANG);
    if (ended == daemon) return true;
    if (ended < 0 && errno != EINTR) return true;
    signalfd_siginfo info;
    if (::read(signals_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) continue;
    if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
      Unmount();  // the daemon ends by itself then
  }
}

void Supervisor::Pause(std::chrono::milliseconds time) {
  pollfd ready{signals_.get(), POLLIN, 0};
  ::poll(&ready, 1, static_cast<int>(time.count()));
}

int Supervisor::Run() {
  if (auto prepared = Prepare(); !prepared) return Report(status_, prepared.error().message());
  std::chrono::milliseconds delay{0};
  for (;;) {
    const auto started = std::chrono::steady_clock::now();
    state_->SetAnswered(false);
    auto daemon = StartDaemon(options_, arguments_, device_.get(), state_->fd(), status_.get());
    if (!daemon) return Report(status_, daemon.error().message());
    WaitForDaemon(*daemon);
    if (WIFEXITED(wait_status_) && WEXITSTATUS(wait_status_) == 0) return 0;  // unmounted
    if (!state_->mounted()) return 1;                                         // it has said why
    const std::string how = WIFSIGNALED(wait_status_)
                                ? std::string("signal ") + std::to_string(WTERMSIG(wait_status_))
                                : "status " + std::to_string(WEXITSTATUS(wait_status_));
    // A daemon that lived for a while is succeeded at once; one that keeps dying, ever more slowly.
    if (std::chrono::steady_clock::now() - started > kStableTime) delay = {};
    log::warn("the daemon of {} ended with {}; starting the next one", options_.mountpoint, how);
    if (state_->answered()) delay = std::min(delay, kMaxWorkingRestartDelay);
    if (delay.count() > 0) Pause(delay);
    delay = std::min(kMaxRestartDelay, delay * 2 + std::chrono::milliseconds(10));
  }
}

}  // namespace

int Supervise(const MountOptions& options, const std::vector<std::string>& arguments,
              UniqueFd status) {
  ::prctl(PR_SET_NAME, "pxfs-supervise");
  return Supervisor(options, arguments, std::move(status)).Run();
}

}  // namespace pxfs::mount_helpers
