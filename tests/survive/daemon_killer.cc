#include "tests/survive/daemon_killer.h"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <csignal>

#include "base/unique_fd.h"
#include "tests/support/process.h"

namespace pxfs::test {

Result<MountRecord> RecordOfMount(const std::string& cluster_directory,
                                  const std::string& mountpoint) {
  for (const MountRecord& record : ListMountRecords(cluster_directory + "/run")) {
    if (record.mountpoint == mountpoint) return record;
  }
  return Fail(Code::kNotFound, "no record of a mount at " + mountpoint);
}

Result<pid_t> WaitForSuccessor(const std::string& cluster_directory, const std::string& mountpoint,
                               pid_t before, std::chrono::seconds limit) {
  UniqueFd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  const std::string records = cluster_directory + "/run/mounts";
  if (!watch || ::inotify_add_watch(watch.get(), records.c_str(),
                                    IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE) < 0)
    return FailErrno(errno, records);
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (;;) {
    const auto record = RecordOfMount(cluster_directory, mountpoint);
    if (record && record->daemon_pid != before) return record->daemon_pid;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0)
      return Fail(Code::kTimeout,
                  mountpoint + ": no daemon has succeeded process " + std::to_string(before));
    pollfd changed{watch.get(), POLLIN, 0};
    if (::poll(&changed, 1, static_cast<int>(left.count())) > 0) {
      char events[4096];
      [[maybe_unused]] const ssize_t n = ::read(watch.get(), events, sizeof events);
    }
  }
}

Status KillDaemon(const std::string& cluster_directory, const std::string& mountpoint) {
  PXFS_ASSIGN(const MountRecord record, RecordOfMount(cluster_directory, mountpoint));
  PXFS_ASSIGN(const Process daemon, Process::Find(record.daemon_pid));
  daemon.Signal(SIGKILL);
  PXFS_TRY(WaitForSuccessor(cluster_directory, mountpoint, record.daemon_pid));
  return {};
}

}  // namespace pxfs::test
