#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

extern char** environ;

namespace pxfs {
namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kMostOutputBytes = 64 << 10;

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const auto& s : strings) pointers.push_back(const_cast<char*>(s.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

class SpawnActions {
 public:
  SpawnActions() { posix_spawn_file_actions_init(&actions_); }
  ~SpawnActions() { posix_spawn_file_actions_destroy(&actions_); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

// Own process group and no blocked or ignored signals: nothing of this process's set-up leaks into
// the child.
class SpawnAttributes {
 public:
  SpawnAttributes() {
    posix_spawnattr_init(&attributes_);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  ~SpawnAttributes() { posix_spawnattr_destroy(&attributes_); }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
  posix_spawnattr_t* get() { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

Result<pid_t> Spawn(const ProgramCall& call, int output_fd) {
  const std::string program = FindProgram(call.argv.at(0));
  if (program.empty()) {
    return Fail(Code::kNotFound, "the program '" + call.argv[0] + "' is not installed");
  }
  SpawnActions actions;
  posix_spawn_file_actions_addopen(actions.get(), 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(actions.get(), output_fd, 1);
  posix_spawn_file_actions_adddup2(actions.get(), output_fd, 2);
  // dup2 onto itself takes O_CLOEXEC off in the child.
  for (const int fd : call.inherited_fds) posix_spawn_file_actions_adddup2(actions.get(), fd, fd);
  if (!call.directory.empty()) {
    posix_spawn_file_actions_addchdir_np(actions.get(), call.directory.c_str());
  }
  std::vector<std::string> env = call.extra_env;
  for (char** variable = environ; *variable; ++variable) {
    const std::string_view present(*variable);
    const auto replaces = [name = present.substr(0, present.find('=') + 1)](const auto& extra) {
      return extra.starts_with(name);
    };
    if (std::none_of(call.extra_env.begin(), call.extra_env.end(), replaces))
      env.emplace_back(present);
  }
  SpawnAttributes attributes;
  pid_t pid = -1;
  const int error = posix_spawn(&pid, program.c_str(), actions.get(), attributes.get(),
                                Pointers(call.argv).data(), Pointers(env).data());
  if (error != 0) return FailErrno(error, "cannot run " + program);
  return pid;
}

// Waits until the pipe is at its end or `deadline`. False: the deadline came first.
Result<bool> ReadUntil(int fd, Clock::time_point deadline, std::string& output) {
  char buffer[8192];
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd poll_fd{fd, POLLIN, 0};
    const int ready = ::poll(&poll_fd, 1, static_cast<int>(std::min<long long>(left, 60'000)));
    if (ready < 0 && errno != EINTR) return FailErrno(errno, "poll");
    if (ready <= 0) continue;
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno != EINTR) return FailErrno(errno, "read");
    if (n == 0) return true;
    if (n > 0 && output.size() < kMostOutputBytes) output.append(buffer, static_cast<size_t>(n));
  }
}

int Reap(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

std::string LastLine(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  const size_t newline = text.rfind('\n');
  return std::string(newline == std::string_view::npos ? text : text.substr(newline + 1));
}

}  // namespace

Result<ProgramEnd> RunProgram(const ProgramCall& call, std::chrono::milliseconds timeout) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return FailErrno(errno, "pipe");
  UniqueFd read_end(fds[0]), write_end(fds[1]);
  PXFS_ASSIGN(const pid_t pid, Spawn(call, write_end.get()));
  write_end.reset();
  ProgramEnd finished;
  const auto ended = ReadUntil(read_end.get(), Clock::now() + timeout, finished.output);
  if (!ended || !*ended) ::kill(-pid, SIGKILL);
  finished.status = Reap(pid);
  if (!ended) return Fail(ended.error());
  if (!*ended) return Fail(Code::kTimeout, call.argv[0] + " did not end in time");
  return finished;
}

Status RunChecked(const ProgramCall& call, std::chrono::milliseconds timeout) {
  PXFS_ASSIGN(const ProgramEnd finished, RunProgram(call, timeout));
  if (finished.status == 0) return {};
  const std::string said = LastLine(finished.output);
  return Fail(Code::kIo, call.argv[0] + " failed with status " + std::to_string(finished.status) +
                             (said.empty() ? "" : ": " + said));
}

std::string FindProgram(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = std::getenv("PATH");
  std::string directories = std::string(path ? path : "") + ":/usr/sbin:/usr/bin:/sbin:/bin";
  for (size_t begin = 0; begin < directories.size();) {
    const size_t end = std::min(directories.find(':', begin), directories.size());
    const std::string candidate = directories.substr(begin, end - begin) + "/" + name;
    if (end > begin && ::access(candidate.c_str(), X_OK) == 0) return candidate;
    begin = end + 1;
  }
  return "";
}

Result<UniqueFd> OpenPidfd(pid_t pid) {
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) {
    if (errno == ESRCH) return Fail(Code::kNotFound, "process " + std::to_string(pid) + " is gone");
    return FailErrno(errno, "pidfd_open");
  }
  return UniqueFd(fd);
}

Status SendSignal(const UniqueFd& pidfd, int signal) {
  if (::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) != 0 && errno != ESRCH) {
    return FailErrno(errno, "pidfd_send_signal");
  }
  return {};
}

bool HasEnded(pid_t pid) {
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process) return errno == ESRCH;
  pollfd end{process.get(), POLLIN, 0};
  return ::poll(&end, 1, 0) == 1;
}

bool AwaitEnd(const UniqueFd& pidfd, std::chrono::milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd poll_fd{pidfd.get(), POLLIN, 0};
    const int ready = ::poll(&poll_fd, 1, static_cast<int>(std::clamp<long long>(left, 0, 60'000)));
    if (ready > 0) return true;
    if (left <= 0) return false;
  }
}

}  // namespace pxfs
