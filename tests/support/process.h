// Programs run by tests, and processes waited for: always with a deadline, never with a sleep.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pxfs::test {

using Argv = std::vector<std::string>;
using Environment = std::vector<std::string>;  // "KEY=value", added to what the test has

struct Outcome {
  int status = 0;      // the exit status, or 128 + signal
  std::string output;  // standard output and standard error as they came
  std::string errors;  // RunApart: standard error, which is not in `output` then
};

// Runs a program to its end; its standard input is empty. The group that it began is killed after
// `limit`: kTimeout.
Result<Outcome> RunProgram(const Argv& argv, const Environment& environment = {},
                           std::chrono::seconds limit = std::chrono::seconds(120));
// The same with standard output and standard error kept apart.
Result<Outcome> RunApart(const Argv& argv, const Environment& environment = {},
                         std::chrono::seconds limit = std::chrono::seconds(120));
// As RunProgram, and a status other than 0 is an error that holds the command and its output.
Status RunOk(const Argv& argv, const Environment& environment = {},
             std::chrono::seconds limit = std::chrono::seconds(120));

// The path of one of pxfs's programs ($PXFS_BIN, set by ctest; $PXFS_PROGRAMS, where set, are used
// in their place).
std::string Program(const std::string& name);
// $PXFS_PROGRAMS is set: sanitizers watch over them, and they are larger and slower for it.
bool ProgramsAreOfAnotherBuild();

// A process known by a pidfd, so that its number cannot come to mean another one. It need not be a
// child.
class Process {
 public:
  Process() = default;
  // kNotFound: it has ended.
  static Result<Process> Find(pid_t pid);

  pid_t pid() const { return pid_; }
  explicit operator bool() const { return static_cast<bool>(pidfd_); }
  // A process that has ended is signalled in vain.
  void Signal(int signal) const;
  // True once it has ended.
  bool WaitForEnd(std::chrono::milliseconds limit) const;

 private:
  pid_t pid_ = 0;
  UniqueFd pidfd_;
};

// A child that runs in the background with its output in a file. Killed and reaped at the end of
// its life.
class Daemon {
 public:
  static Result<Daemon> Start(const Argv& argv, const std::string& output_file);
  Daemon() = default;
  Daemon(Daemon&&) noexcept = default;
  Daemon& operator=(Daemon&& other) noexcept;
  ~Daemon();

  const Process& process() const { return process_; }
  // Sends SIGTERM and waits. The wait status as of waitpid(2), or kTimeout.
  Result<int> Stop(std::chrono::milliseconds limit);
  // Reaps a process that ends by itself or was killed.
  Result<int> Wait(std::chrono::milliseconds limit);

 private:
  void KillAndReap();

  Process process_;
};

// The child processes and further descendants that `pid` has now.
std::vector<pid_t> Descendants(pid_t pid);

}  // namespace pxfs::test
