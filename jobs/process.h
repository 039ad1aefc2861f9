// Starting helper programs (mount tools, the container runtime, conmon) and following processes by
// pidfd.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pxfs::jobs {

struct Command {
  std::vector<std::string> argv;  // argv[0] is looked up in PATH
  std::vector<std::string> extra_env;
  std::string directory;           // to run in; empty: the caller's
  std::vector<int> inherited_fds;  // kept open under the same numbers; all others are closed
};

struct Finished {
  int status = 0;      // as a shell shows it: 128 + signal for one that was killed
  std::string output;  // what it wrote to stdout and stderr, at most 64 KiB
};

// Runs to the end. Fails only if the program could not be run or did not end in time (it is then
// killed).
Result<Finished> Run(const Command& command, std::chrono::milliseconds timeout);
// As Run, and a status other than 0 is kIo with the last line that the program wrote.
Status RunChecked(const Command& command, std::chrono::milliseconds timeout);

// The absolute path of a program in PATH or the system's directories for administrators; empty if
// there is none.
std::string FindProgram(const std::string& name);

// kNotFound when there is no such process.
Result<UniqueFd> OpenPidfd(pid_t pid);
// Sends through a pidfd; a process that has ended is no error.
Status SendSignal(const UniqueFd& pidfd, int signal);

// Blocks until the process has ended, at most for `timeout`. False: it still runs.
bool AwaitEnd(const UniqueFd& pidfd, std::chrono::milliseconds timeout);

}  // namespace pxfs::jobs
