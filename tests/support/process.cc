#include "tests/support/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace pxfs::test {
namespace {

using Clock = std::chrono::steady_clock;

int RemainingMs(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
  return left.count() > 0 ? static_cast<int>(left.count()) : 0;
}

// Starts argv in a process group of its own with the given descriptors; never returns in the child.
Result<pid_t> Spawn(const Argv& argv, const Environment& environment, int output_fd, int error_fd) {
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) return FailErrno(errno, "fork");
  if (pid > 0) return pid;
  ::setpgid(0, 0);
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, STDIN_FILENO);
  ::dup2(output_fd, STDOUT_FILENO);
  ::dup2(error_fd, STDERR_FILENO);
  for (const std::string& variable : environment) ::putenv(const_cast<char*>(variable.c_str()));
  ::execvp(arguments[0], arguments.data());
  ::dprintf(STDERR_FILENO, "%s: %m\n", arguments[0]);
  ::_exit(127);
}

int ExitStatus(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

// A file and not a pipe: a program that daemonizes may leave its output open in the daemon.
Result<UniqueFd> OutputFile() {
  UniqueFd file(::memfd_create("output", MFD_CLOEXEC));
  if (!file) return FailErrno(errno, "memfd_create");
  return file;
}

Result<std::string> ContentOf(const UniqueFd& file, const std::string& program) {
  std::string text(static_cast<size_t>(::lseek(file.get(), 0, SEEK_END)), '\0');
  if (::pread(file.get(), text.data(), text.size(), 0) < 0) return FailErrno(errno, program);
  return text;
}

Result<Outcome> Run(const Argv& argv, const Environment& environment, std::chrono::seconds limit,
                    const UniqueFd& output, const UniqueFd& errors) {
  PXFS_ASSIGN(const pid_t pid, Spawn(argv, environment, output.get(), errors.get()));
  const auto process = Process::Find(pid);
  if (!process) return Fail(process.error());
  const bool ended = process->WaitForEnd(limit);
  if (!ended) ::kill(-pid, SIGKILL);
  int wait_status = 0;
  if (::waitpid(pid, &wait_status, 0) < 0) return FailErrno(errno, argv[0]);
  Outcome outcome;
  outcome.status = ExitStatus(wait_status);
  PXFS_ASSIGN(outcome.output, ContentOf(output, argv[0]));
  if (&errors != &output) {
    PXFS_ASSIGN(outcome.errors, ContentOf(errors, argv[0]));
  }
  if (!ended)
    return Fail(Code::kTimeout, argv[0] + ": still running after " + std::to_string(limit.count()) +
                                    " s; it had said: " + outcome.output + outcome.errors);
  return outcome;
}

}  // namespace

Result<Outcome> RunProgram(const Argv& argv, const Environment& environment,
                           std::chrono::seconds limit) {
  PXFS_ASSIGN(const UniqueFd output, OutputFile());
  return Run(argv, environment, limit, output, output);
}

Result<Outcome> RunApart(const Argv& argv, const Environment& environment,
                         std::chrono::seconds limit) {
  PXFS_ASSIGN(const UniqueFd output, OutputFile());
  PXFS_ASSIGN(const UniqueFd errors, OutputFile());
  return Run(argv, environment, limit, output, errors);
}

Status RunOk(const Argv& argv, const Environment& environment, std::chrono::seconds limit) {
  PXFS_ASSIGN(const Outcome outcome, RunProgram(argv, environment, limit));
  if (outcome.status == 0) return {};
  std::string command;
  for (const std::string& argument : argv) command += argument + " ";
  return Fail(Code::kIo, command + "ended with status " + std::to_string(outcome.status) + ": " +
                             outcome.output);
}

bool ProgramsAreOfAnotherBuild() { return std::getenv("PXFS_PROGRAMS") != nullptr; }

std::string Program(const std::string& name) {
  const char* directory = std::getenv("PXFS_PROGRAMS");
  if (directory == nullptr) directory = std::getenv("PXFS_BIN");
  return directory ? std::string(directory) + "/" + name : name;
}

Result<Process> Process::Find(pid_t pid) {
  Process process;
  process.pid_ = pid;
  process.pidfd_ = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process.pidfd_) {
    if (errno == ESRCH) return Fail(Code::kNotFound, "no process " + std::to_string(pid));
    return FailErrno(errno, "pidfd_open");
  }
  return process;
}

void Process::Signal(int signal) const {
  if (pidfd_) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0);
}

bool Process::WaitForEnd(std::chrono::milliseconds limit) const {
  if (!pidfd_) return true;
  const auto deadline = Clock::now() + limit;
  for (;;) {
    pollfd poll_fd{pidfd_.get(), POLLIN, 0};
    const int ready = ::poll(&poll_fd, 1, RemainingMs(deadline));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

Result<Daemon> Daemon::Start(const Argv& argv, const std::string& output_file) {
  PXFS_ASSIGN(UniqueFd output, OpenAt(AT_FDCWD, output_file, O_WRONLY | O_CREAT | O_APPEND, 0644));
  PXFS_ASSIGN(const pid_t pid, Spawn(argv, {}, output.get(), output.get()));
  Daemon daemon;
  PXFS_ASSIGN(daemon.process_, Process::Find(pid));
  return daemon;
}

Daemon& Daemon::operator=(Daemon&& other) noexcept {
  if (this != &other) {
    KillAndReap();
    process_ = std::move(other.process_);
  }
  return *this;
}

Daemon::~Daemon() { KillAndReap(); }

void Daemon::KillAndReap() {
  if (!process_) return;
  process_.Signal(SIGKILL);
  ::waitpid(process_.pid(), nullptr, 0);
  process_ = Process();
}

Result<int> Daemon::Stop(std::chrono::milliseconds limit) {
  process_.Signal(SIGTERM);
  return Wait(limit);
}

Result<int> Daemon::Wait(std::chrono::milliseconds limit) {
  if (!process_) return Fail(Code::kNotFound, "no such daemon");
  if (!process_.WaitForEnd(limit))
    return Fail(Code::kTimeout, "process " + std::to_string(process_.pid()) + " has not ended");
  int status = 0;
  if (::waitpid(process_.pid(), &status, 0) < 0) return FailErrno(errno, "waitpid");
  process_ = Process();
  return status;
}

std::vector<pid_t> Descendants(pid_t pid) {
  std::vector<pid_t> found;
  std::ifstream children("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) +
                         "/children");
  for (pid_t child; children >> child;) {
    found.push_back(child);
    for (const pid_t further : Descendants(child)) found.push_back(further);
  }
  return found;
}

}  // namespace pxfs::test
