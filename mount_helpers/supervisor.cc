#include "mount_helpers/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>

#include "base/cluster_directory.h"
#include "base/logging.h"
#include "base/mount_registry.h"
#include "base/pass_descriptor.h"
#include "cli/mount_control.h"
#include "fs/connection_state.h"
#include "mount_helpers/fusermount.h"
#include "rpc/unix_socket.h"

namespace pxfs::mount_helpers {
namespace {

// Between the ends of daemons that live less than kStableTime: of those that answer nothing, and of
// those that do. The one keeps a daemon that cannot work from taking a processor for itself, the
// other bounds how long programs wait where one request in many kills it.
constexpr std::chrono::milliseconds kMaxRestartDelay{1000};
constexpr std::chrono::milliseconds kMaxWorkingRestartDelay{20};
constexpr std::chrono::milliseconds kStableTime{500};

// Daemons that are started after the file system was unmounted, to end in order what the one that
// served could not.
constexpr int kTriesAfterUnmount = 3;

// An upgrade: how long the old daemon may take to end, the new one to serve, and how long it is
// watched then if no request comes that would prove it.
constexpr std::chrono::seconds kHandOverTime{10};
constexpr std::chrono::seconds kReadyTime{40};
constexpr std::chrono::milliseconds kTrialTime{50};

int Report(const UniqueFd& status, const std::string& problem) {
  const std::string line = problem + "\n";
  if (auto written = WriteAll(status.get(), line); !written) log::error("{}", problem);
  return 1;
}

class Supervisor {
 public:
  Supervisor(const MountOptions& options, const std::vector<std::string>& arguments)
      : options_(options), arguments_{options, arguments} {}

  // `status`: where the first daemon reports. Return the process's exit status.
  int Begin(UniqueFd status);
  int GoOn(const SupervisorState& state);

 private:
  using Clock = std::chrono::steady_clock;
  // What is waited for besides the daemon's end.
  enum class Event { kEnded, kReadable, kTimeout };

  Status PrepareSignals();
  Status PrepareOrders();
  std::string ControlPath() const;
  void Listen();
  // Starts daemons until the file system is unmounted; the first one is there if daemon_ is not 0.
  int Run(UniqueFd status);
  Status Start(const std::string& program, int status);
  // Waits for the daemon's end (then wait_status_ says how), for something to read on `fd` (-1:
  // nothing), or for `until`. Unmounts when a signal asks for it.
  Event Await(int fd, Clock::time_point until);
  void AwaitEnd();
  void Unmount();
  Status PrepareDevice();
  void TakeDevice();
  // The kernel has ended the connection.
  bool Disconnected() const;

  void Serve(UniqueFd connection);
  cli::UpgradeReply Upgrade(const std::string& wanted);
  cli::MountUsage Usage() const;
  // The daemon has said that it serves, and goes on to be there; else why not.
  Status AwaitReadiness(int status);
  // Starts a daemon and waits until it serves; what does not is ended.
  Status StartAndAwait(const std::string& program);

  const MountOptions& options_;
  const ProgramArguments arguments_;
  // /dev/fuse. Where an ordinary user mounts there is none before the first daemon has mounted:
  // until then it is the end of a socket by which that daemon sends it to incoming_.
  UniqueFd device_, incoming_;
  UniqueFd signals_, order_reader_, order_writer_;
  std::optional<rpc::UnixListener> listener_;  // none: no orders are taken
  std::unique_ptr<fs::ConnectionState> state_;
  std::string program_ = kRunningProgram;  // what daemons are started from
  std::string upgrade_path_;               // what an upgrade takes by default
  pid_t daemon_ = 0;
  bool ended_ = true;  // it has been waited for
  int wait_status_ = 0;
  Clock::time_point started_, ready_;  // of the newest daemon
};

Status Supervisor::PrepareSignals() {
  sigset_t wanted;
  sigemptyset(&wanted);
  for (int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&wanted, signal);
  if (::sigprocmask(SIG_BLOCK, &wanted, nullptr) != 0) return FailErrno(errno, "sigprocmask");
  signals_ = UniqueFd(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) return FailErrno(errno, "signalfd");
  return {};
}

Status Supervisor::PrepareOrders() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return FailErrno(errno, "pipe");
  order_reader_ = UniqueFd(ends[0]);
  order_writer_ = UniqueFd(ends[1]);
  return {};
}

std::string Supervisor::ControlPath() const {
  ClusterIdentity cluster;
  cluster.directory = options_.cluster_directory;
  return MountControlPath(cluster.run_directory(), ::getpid());
}

// A mount whose supervisor takes no orders is as good as any until somebody wants to upgrade it.
void Supervisor::Listen() {
  const std::string path = ControlPath();
  const Status made = MakeDirectories(path.substr(0, path.rfind('/')));
  auto listener = made ? rpc::ListenUnixSocket(path) : Fail(made.error());
  if (listener)
    listener_ = std::move(*listener);
  else
    log::warn("{}: this mount cannot be upgraded: {}", options_.mountpoint,
              listener.error().message());
}

void Supervisor::Unmount() {
  if (::geteuid() != 0) {
    if (auto done = UnmountByFusermount(options_.mountpoint, /*lazy=*/true); !done)
      log::error("unmounting {}: {}", options_.mountpoint, done.error().message());
    return;
  }
  if (::umount2(options_.mountpoint.c_str(), MNT_DETACH) != 0 && errno != EINVAL)
    log::error("unmounting {}: {}", options_.mountpoint, std::strerror(errno));
}

Status Supervisor::PrepareDevice() {
  if (::geteuid() == 0) {
    PXFS_ASSIGN(device_, OpenAt(AT_FDCWD, "/dev/fuse", O_RDWR));
    return {};
  }
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return FailErrno(errno, "socketpair");
  device_ = UniqueFd(ends[0]);
  incoming_ = UniqueFd(ends[1]);
  return {};
}

void Supervisor::TakeDevice() {
  pollfd ready{incoming_.get(), POLLIN, 0};
  if (!incoming_ || ::poll(&ready, 1, 0) <= 0) return;
  auto device = ReceiveDescriptor(incoming_.get());
  incoming_.reset();
  if (device)
    device_ = std::move(*device);
  else
    log::error("{}: the mount ends with its daemon: {}", options_.mountpoint,
               device.error().message());
}

Supervisor::Event Supervisor::Await(int fd, Clock::time_point until) {
  for (;;) {
    TakeDevice();
    if (ended_) return Event::kEnded;
    const pid_t ended = ::waitpid(daemon_, &wait_status_, WNOHANG);
    ended_ = ended == daemon_ || (ended < 0 && errno != EINTR);
    if (ended_) continue;  // what it had sent comes first
    signalfd_siginfo info;
    if (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
        Unmount();  // the daemon ends by itself then
      continue;
    }
    int wait_ms = -1;
    if (until != Clock::time_point::max()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
      if (left.count() <= 0) return Event::kTimeout;
      wait_ms = static_cast<int>(left.count());
    }
    pollfd ready[] = {{signals_.get(), POLLIN, 0}, {fd, POLLIN, 0}, {incoming_.get(), POLLIN, 0}};
    if (::poll(ready, 3, wait_ms) > 0 && ready[1].revents != 0) return Event::kReadable;
  }
}

void Supervisor::AwaitEnd() { Await(-1, Clock::time_point::max()); }

Status Supervisor::Start(const std::string& program, int status) {
  // An order that nobody followed is not for the next one.
  PXFS_TRY(PrepareOrders());
  state_->SetAnswered(false);
  started_ = Clock::now();
  PXFS_ASSIGN(daemon_, StartDaemon(program, arguments_,
                                   {device_.get(), state_->fd(), status, order_reader_.get()}));
  ended_ = false;
  return {};
}

Status Supervisor::AwaitReadiness(int status) {
  const auto deadline = Clock::now() + kReadyTime;
  std::string said;
  const auto last_word = [&said] {  // empty: it has not come yet
    while (said.starts_with(kWarning) && said.find('\n') != std::string::npos)
      said.erase(0, said.find('\n') + 1);
    return said.substr(0, said.find('\n') + 1);
  };
  while (last_word().empty()) {
    if (Await(status, deadline) == Event::kTimeout)
      return Fail(Code::kTimeout, "it did not begin to serve");
    char buffer[4096];
    const ssize_t n = ::read(status, buffer, sizeof buffer);
    if (n <= 0) break;
    said.append(buffer, static_cast<size_t>(n));
  }
  said = said.substr(0, said.find('\n'));
  if (said != "ok") return Fail(Code::kUnavailable, said.empty() ? "it died at once" : said);
  ready_ = Clock::now();
  // What dies of the first request was no success either.
  while (!state_->answered() && Clock::now() < ready_ + kTrialTime) {
    if (Await(-1, Clock::now() + std::chrono::milliseconds(5)) == Event::kEnded)
      return Fail(Code::kUnavailable, "it died of its first request");
  }
  return {};
}

Status Supervisor::StartAndAwait(const std::string& program) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return FailErrno(errno, "pipe");
  UniqueFd reader(ends[0]), writer(ends[1]);
  PXFS_TRY(Start(program, writer.get()));
  writer.reset();
  const Status ready = AwaitReadiness(reader.get());
  if (!ready && !ended_) {
    ::kill(daemon_, SIGKILL);
    AwaitEnd();
  }
  return ready;
}

// The daemon need not answer for that.
cli::MountUsage Supervisor::Usage() const {
  const fs::ConnectionState::Inodes inodes = state_->CountInodes();
  const fs::Usage& usage = state_->usage();
  return {.open = {inodes.open, usage.max_open},
          .idle = {inodes.idle, usage.max_idle},
          .descriptors = {usage.descriptors, usage.max_descriptors},
          .buffer_bytes = {usage.buffer_bytes, usage.max_buffer_bytes}};
}

cli::UpgradeReply Supervisor::Upgrade(const std::string& wanted) {
  cli::UpgradeReply reply;
  reply.old_version = PXFS_VERSION;
  const std::string program = wanted.empty() ? upgrade_path_ : wanted;
  const auto version = CheckProgram(program, arguments_, state_->fd());
  if (!version) {
    reply.problem = version.error().message();
    return reply;
  }
  reply.new_version = *version;
  const auto begun = Clock::now();
  if (auto ordered = WriteAll(order_writer_.get(), "h"); !ordered) {
    reply.problem = "the daemon takes no order: " + ordered.error().message();
    return reply;
  }
  if (Await(-1, begun + kHandOverTime) == Event::kTimeout) {
    ::kill(daemon_, SIGKILL);  // what it had begun is sent again, as after any death
    AwaitEnd();
  }
  if (WIFEXITED(wait_status_) && WEXITSTATUS(wait_status_) == 0) {
    reply.problem = "it was unmounted meanwhile";
    return reply;
  }
  const Status started = StartAndAwait(program);
  if (started) {
    program_ = program;
    upgrade_path_ = program;
  } else {
    reply.problem = program + ": " + started.error().message();
    // Whatever becomes of this one, Run goes on with.
    if (auto again = StartAndAwait(program_); !again)
      log::error("{}: {}", options_.mountpoint, again.error().message());
  }
  reply.stall_ms = std::chrono::duration<double, std::milli>(ready_ - begun).count();
  return reply;
}

void Supervisor::Serve(UniqueFd connection) {
  const auto order = cli::ReceiveOrder(connection.get());
  // In all this, who asked may be gone; that changes nothing.
  if (order && order->kind == cli::MountOrder::Kind::kUsage) {
    (void)cli::SendUsage(connection.get(), Usage());
    return;
  }
  cli::UpgradeReply reply;
  if (order) {
    reply = Upgrade(order->program);
  } else {
    reply.old_version = PXFS_VERSION;
    reply.problem = order.error().message();
  }
  (void)cli::SendUpgradeReply(connection.get(), reply);
  connection.reset();
  if (!reply.problem.empty() || ended_) return;
  const Error failed = Become(program_, arguments_,
                              {daemon_, device_.get(), state_->fd(), listener_->socket.get(),
                               order_writer_.get(), upgrade_path_});
  log::error("{}: the supervisor stays as it is: {}", options_.mountpoint, failed.message());
}

int Supervisor::Begin(UniqueFd status) {
  auto prepared = [&]() -> Status {
    PXFS_TRY(PrepareDevice());
    PXFS_ASSIGN(state_, fs::ConnectionState::Create());
    return PrepareSignals();
  }();
  if (!prepared) return Report(status, prepared.error().message());
  upgrade_path_ = PathOfRunningProgram();
  Listen();
  const int result = Run(std::move(status));
  if (listener_) rpc::RemoveSocketFile(*listener_);
  return result;
}

bool Supervisor::Disconnected() const {
  pollfd device{device_.get(), 0, 0};
  return ::poll(&device, 1, 0) > 0 && (device.revents & POLLERR) != 0;
}

int Supervisor::Run(UniqueFd status) {
  std::chrono::milliseconds delay{0};
  int tries_after_unmount = 0;
  for (;;) {
    if (daemon_ == 0) {
      if (auto started = Start(program_, status.get()); !started)
        return Report(status, started.error().message());
    }
    const int listener = listener_ ? listener_->socket.get() : -1;
    while (Await(listener, Clock::time_point::max()) == Event::kReadable) {
      UniqueFd connection(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
      if (connection) Serve(std::move(connection));
    }
    daemon_ = 0;
    if (WIFEXITED(wait_status_) && WEXITSTATUS(wait_status_) == 0) return 0;  // unmounted
    if (!state_->mounted()) return 1;                                         // it has said why
    const std::string how = WIFSIGNALED(wait_status_)
                                ? std::string("signal ") + std::to_string(WTERMSIG(wait_status_))
                                : "status " + std::to_string(WEXITSTATUS(wait_status_));
    if (Disconnected() && tries_after_unmount++ == kTriesAfterUnmount) {
      log::error(
          "{} is unmounted, but its daemon ended with {} again and again; the next mount of the "
          "cluster puts in order what it left",
          options_.mountpoint, how);
      return 1;
    }
    // A daemon that lived for a while is succeeded at once; one that keeps dying, ever more slowly.
    if (Clock::now() - started_ > kStableTime) delay = {};
    log::warn("the daemon of {} ended with {}; starting the next one", options_.mountpoint, how);
    if (state_->answered()) delay = std::min(delay, kMaxWorkingRestartDelay);
    if (delay.count() > 0) {
      pollfd ready{signals_.get(), POLLIN, 0};
      ::poll(&ready, 1, static_cast<int>(delay.count()));
    }
    delay = std::min(kMaxRestartDelay, delay * 2 + std::chrono::milliseconds(10));
  }
}

int Supervisor::GoOn(const SupervisorState& state) {
  device_ = UniqueFd(state.device);
  listener_.emplace();
  listener_->socket = UniqueFd(state.listener);
  order_writer_ = UniqueFd(state.orders);
  for (int fd : {state.device, state.state, state.listener, state.orders})
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  auto adopted = [&]() -> Status {
    PXFS_ASSIGN(state_, fs::ConnectionState::Adopt(UniqueFd(state.state)));
    return PrepareSignals();
  }();
  // Nobody listens to the daemons to come.
  auto nobody = OpenAt(AT_FDCWD, "/dev/null", O_WRONLY);
  if (!adopted || !nobody) {
    log::error("{}: {}", options_.mountpoint,
               (adopted ? nobody.error() : adopted.error()).message());
    return 1;
  }
  upgrade_path_ = state.program;
  daemon_ = state.daemon;
  ended_ = false;
  started_ = Clock::now();
  const int result = Run(std::move(*nobody));
  ::unlink(ControlPath().c_str());
  return result;
}

}  // namespace

int Supervise(const MountOptions& options, const std::vector<std::string>& arguments,
              UniqueFd status) {
  ::prctl(PR_SET_NAME, "pxfs-supervise");
  return Supervisor(options, arguments).Begin(std::move(status));
}

int GoOnSupervising(const MountOptions& options, const std::vector<std::string>& arguments,
                    const SupervisorState& state) {
  ::prctl(PR_SET_NAME, "pxfs-supervise");
  return Supervisor(options, arguments).GoOn(state);
}

}  // namespace pxfs::mount_helpers
