#include "jobs/terminate.h"

#include <signal.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "base/process.h"

namespace pxfs::jobs {
namespace {

bool Catches(pid_t pid, int signal) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  std::string key;
  while (status >> key) {
    if (key == "SigCgt:") {
      uint64_t mask = 0;
      status >> std::hex >> mask;
      return mask >> (signal - 1) & 1;
    }
    std::getline(status, key);
  }
  return false;
}

}  // namespace

Status Terminate(const Cgroup& cgroup, std::chrono::milliseconds grace) {
  std::vector<UniqueFd> waiting;
  for (const pid_t pid : cgroup.Processes()) {
    auto pidfd = OpenPidfd(pid);
    if (!pidfd) continue;
    const bool catches = Catches(pid, SIGTERM);
    PXFS_TRY(SendSignal(*pidfd, SIGTERM));
    if (catches) waiting.push_back(std::move(*pidfd));
  }
  const auto deadline = std::chrono::steady_clock::now() + grace;
  for (const auto& pidfd : waiting) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (!AwaitEnd(pidfd, std::max(left, std::chrono::milliseconds(0)))) break;
  }
  return cgroup.Kill();
}

}  // namespace pxfs::jobs
