// The program file that the supervisor of a mount runs: as the next daemon, as the next supervisor,
// and before that, to see whether it can be either.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "mount_helpers/options.h"

namespace pxfs::mount_helpers {

// The descriptors a daemon inherits, at these numbers.
inline constexpr int kDeviceFd = 3;  // /dev/fuse
inline constexpr int kStateFd = 4;   // fs::ConnectionState
// A pipe: lines that begin with kWarning, then one that is "ok" or what went wrong.
inline constexpr int kStatusFd = 5;
inline constexpr char kWarning[] = "warning: ";
inline constexpr int kOrderFd = 6;  // a pipe: a byte is the order to hand over and end

// What is the same for every run: the mount as its supervisor knows it, and the arguments of
// mount.pxfs.
struct ProgramArguments {
  const MountOptions& options;
  const std::vector<std::string>& arguments;
};

// The descriptors that a daemon is given, by their numbers here.
struct DaemonDescriptors {
  int device, state, status, orders;
};

// What a supervisor hands on when it becomes another program.
struct SupervisorState {
  pid_t daemon = 0;
  int device = -1, state = -1, listener = -1, orders = -1;
  std::string program;  // the path that an upgrade takes when it is told none
};

// The running program, as a path that leads to it even when its file was replaced or removed.
inline constexpr char kRunningProgram[] = "/proc/self/exe";
// The path that it was started from.
std::string PathOfRunningProgram();

// Starts a daemon. What fails in the new process ends it with status 126 or 127.
Result<pid_t> StartDaemon(const std::string& program, const ProgramArguments& arguments,
                          const DaemonDescriptors& descriptors);

// Asks the program whether it can go on with this mount (see CheckMount), and returns its version.
// Waits for it a few seconds at most. kInvalid: it cannot, with its words; kTimeout.
Result<std::string> CheckProgram(const std::string& program, const ProgramArguments& arguments,
                                 int state);
// The other end of CheckProgram: this program with these arguments and the connection's state at
// kStateFd. Prints what CheckProgram reads; returns the exit status.
int CheckMount(const MountOptions& options);

// The arguments of a program that goes on as a supervisor, and the reverse.
std::vector<std::string> WordsOf(const SupervisorState& state);
inline constexpr size_t kSupervisorWords = 6;
Result<SupervisorState> ParseSupervisorState(const std::vector<std::string>& words);

// Replaces this process's program, which goes on as the supervisor. Returns only if that fails.
Error Become(const std::string& program, const ProgramArguments& arguments,
             const SupervisorState& state);

}  // namespace pxfs::mount_helpers
