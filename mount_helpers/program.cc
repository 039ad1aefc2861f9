#include "mount_helpers/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <climits>
#include <cstdio>
#include <string_view>

#include "base/cluster_directory.h"
#include "base/unique_fd.h"
#include "fs/connection_state.h"

namespace pxfs::mount_helpers {
namespace {

constexpr std::chrono::seconds kCheckTime{5};
constexpr std::string_view kGood = "ok ";

// "mount.pxfs WORDS... CLUSTER MOUNTPOINT ARGUMENTS...", for execv(3).
class CommandLine {
 public:
  CommandLine(const std::vector<std::string>& words, const ProgramArguments& arguments) {
    words_ = {"mount.pxfs"};
    words_.insert(words_.end(), words.begin(), words.end());
    words_.insert(words_.end(),
                  {arguments.options.cluster_directory, arguments.options.mountpoint});
    words_.insert(words_.end(), arguments.arguments.begin(), arguments.arguments.end());
    for (auto& word : words_) argv_.push_back(word.data());
    argv_.push_back(nullptr);
  }
  char* const* argv() const { return argv_.data(); }

 private:
  std::vector<std::string> words_;
  std::vector<char*> argv_;
};

// In a new process: puts descriptors at the numbers from `first` on, and becomes the program.
[[noreturn]] void RunChild(const std::string& program, const CommandLine& command,
                           const std::vector<int>& descriptors, int first) {
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // Out of the way first, then to their numbers.
  std::vector<int> moved;
  for (int fd : descriptors) moved.push_back(::fcntl(fd, F_DUPFD, first + 16));
  for (size_t i = 0; i < moved.size(); ++i) {
    if (moved[i] < 0 || ::dup2(moved[i], first + static_cast<int>(i)) < 0) ::_exit(126);
    ::close(moved[i]);
  }
  ::execv(program.c_str(), command.argv());
  ::_exit(127);
}

// What the process writes until it ends, its first line. kTimeout.
Result<std::string> FirstLine(int fd, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  std::string output;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd readable{fd, POLLIN, 0};
    const int polled = ::poll(&readable, 1, static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if (polled < 0 && errno == EINTR) continue;
    if (polled <= 0) return Fail(Code::kTimeout, "it does not answer");
    char buffer[4096];
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0 || output.size() > sizeof buffer) return output.substr(0, output.find('\n'));
    output.append(buffer, static_cast<size_t>(n));
  }
}

}  // namespace

std::string PathOfRunningProgram() {
  char path[PATH_MAX];
  const ssize_t n = ::readlink(kRunningProgram, path, sizeof path);
  return n > 0 ? std::string(path, static_cast<size_t>(n)) : "";
}

Result<pid_t> StartDaemon(const std::string& program, const ProgramArguments& arguments,
                          const DaemonDescriptors& fds) {
  const CommandLine command({"--daemon"}, arguments);
  const pid_t pid = ::fork();
  if (pid < 0) return FailErrno(errno, "fork");
  if (pid == 0)
    RunChild(program, command, {fds.device, fds.state, fds.status, fds.orders}, kDeviceFd);
  return pid;
}

Result<std::string> CheckProgram(const std::string& program, const ProgramArguments& arguments,
                                 int state) {
  if (::access(program.c_str(), X_OK) != 0) return FailErrno(errno, program);
  const CommandLine command({"--check"}, arguments);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return FailErrno(errno, "pipe");
  UniqueFd reader(ends[0]), writer(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return FailErrno(errno, "fork");
  if (pid == 0) {
    ::dup2(writer.get(), STDOUT_FILENO);
    ::dup2(writer.get(), STDERR_FILENO);
    RunChild(program, command, {state}, kStateFd);
  }
  writer.reset();
  const auto line = FirstLine(reader.get(), kCheckTime);
  if (!line) ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!line) return Fail(line.error().WithContext(program));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && line->starts_with(kGood))
    return line->substr(kGood.size());
  return Fail(Code::kInvalid,
              program + ": " + (line->empty() ? "it does not start as a mount.pxfs" : *line));
}

int CheckMount(const MountOptions& options) {
  const auto identity = ReadIdentity(options.cluster_directory);
  const auto state = fs::ConnectionState::Adopt(UniqueFd(kStateFd));
  if (identity && state) {
    std::printf("%s%s\n", std::string(kGood).c_str(), PXFS_VERSION);
    return 0;
  }
  std::printf("%s\n", (identity ? state.error() : identity.error()).message().c_str());
  return 1;
}

std::vector<std::string> WordsOf(const SupervisorState& state) {
  std::vector<std::string> words = {state.program};
  for (int number : {state.daemon, state.device, state.state, state.listener, state.orders})
    words.push_back(std::to_string(number));
  return words;
}

Result<SupervisorState> ParseSupervisorState(const std::vector<std::string>& words) {
  if (words.size() != kSupervisorWords) return Fail(Code::kInvalid, "not the supervisor's words");
  SupervisorState state;
  state.program = words[0];
  int* const numbers[] = {&state.daemon, &state.device, &state.state, &state.listener,
                          &state.orders};
  for (size_t i = 0; i < std::size(numbers); ++i) {
    const std::string& word = words[i + 1];
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), *numbers[i]);
    if (error != std::errc() || end != word.data() + word.size())
      return Fail(Code::kInvalid, "not a number: " + word);
  }
  return state;
}

Error Become(const std::string& program, const ProgramArguments& arguments,
             const SupervisorState& state) {
  std::vector<std::string> words = WordsOf(state);
  words.insert(words.begin(), "--supervise");
  const CommandLine command(words, arguments);
  const int descriptors[] = {state.device, state.state, state.listener, state.orders};
  for (int fd : descriptors) ::fcntl(fd, F_SETFD, 0);
  ::execv(program.c_str(), command.argv());
  const int error = errno;
  for (int fd : descriptors) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  return ErrnoError(error, program);
}

}  // namespace pxfs::mount_helpers
