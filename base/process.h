// Running other programs (mount tools, the container runtime) and following processes by pidfd.
// All of it is thread-safe.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pxfs {

struct ProgramCall {
  std::vector<std::string> argv;       // argv[0] is looked up in PATH
  std::vector<std::string> extra_env;  // "NAME=VALUE", before what this process has of that name
  std::string directory;               // to run in; empty: the caller's
  std::vector<int> inherited_fds;      // kept open under the same numbers; all others are closed
};

struct ProgramEnd {
  int status = 0;      // as a shell shows it: 128 + signal for one that was killed
  std::string output;  // what it wrote to stdout and stderr, at most 64 KiB
};

// Runs to the end. kNotFound: there is no such program; kTimeout: it did not end in time, and is
// killed with its process group.
Result<ProgramEnd> RunProgram(const ProgramCall& call, std::chrono::milliseconds timeout);
// As RunProgram, and a status other than 0 is kIo with the last line that the program wrote.
Status RunChecked(const ProgramCall& call, std::chrono::milliseconds timeout);

// The absolute path of a program in PATH or the system's directories for administrators; empty if
// there is none.
std::string FindProgram(const std::string& name);

// kNotFound when there is no such process.
Result<UniqueFd> OpenPidfd(pid_t pid);
// Sends through a pidfd; a process that has ended is no error.
Status SendSignal(const UniqueFd& pidfd, int signal);

// Whether a process has ended, one that nobody has waited for yet too. False where it cannot be
// told.
bool HasEnded(pid_t pid);

// Blocks until the process has ended, at most for `timeout`. False: it still runs.
bool AwaitEnd(const UniqueFd& pidfd, std::chrono::milliseconds timeout);

}  // namespace pxfs
