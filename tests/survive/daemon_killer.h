// Kills the process that answers a mount's requests, and waits for the next one.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>

#include "base/mount_registry.h"
#include "base/result.h"

namespace pxfs::test {

// The record of the living mount at `mountpoint`.
Result<MountRecord> RecordOfMount(const std::string& cluster_directory,
                                  const std::string& mountpoint);

// Waits until the mount is served by another daemon than `before`, and returns that. kTimeout.
Result<pid_t> WaitForSuccessor(const std::string& cluster_directory, const std::string& mountpoint,
                               pid_t before, std::chrono::seconds limit = std::chrono::seconds(30));

// SIGKILL for the daemon of the mount, and WaitForSuccessor.
Status KillDaemon(const std::string& cluster_directory, const std::string& mountpoint);

}  // namespace pxfs::test
