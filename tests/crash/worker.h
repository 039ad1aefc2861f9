// One process of the crash workload, and what its log says afterwards.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "tests/crash/operation.h"

namespace pxfs::test {

// In memory shared by the test and its workers.
struct WorkloadControl {
  std::atomic<uint64_t> done{0};    // operations that returned, of all workers
  std::atomic<bool> killed{false};  // set before the first signal: errors are expected from now on
  std::atomic<bool> stop{false};    // ends the workers before their next operation
  std::atomic<uint64_t> wanted{0};  // when `done` reaches this, one byte is written to `reached_fd`
  int reached_fd = -1;
};

// Runs in a process of its own until the mount is gone or it is told to stop. Appends to `log`, a
// file outside the mount, "B operation" before an operation and "D" when it has returned. The
// process ends with 0; or with 1 after an error that no kill explains, which is then the last line
// of the log ("E ..."). -1 with errno: it could not be started.
pid_t StartWorker(const std::string& directory, const std::string& log, uint32_t seed,
                  WorkloadControl& control);

struct WorkerHistory {
  Model done;                          // after every operation that returned
  std::optional<Operation> in_flight;  // begun, but never returned: it may have happened or not
  uint64_t operations = 0;
  std::string error;  // "E ..." where there was one
};
Result<WorkerHistory> ReadHistory(const std::string& log);

// Empty when the tree below `directory` is what the history says; else where it differs.
std::string CompareWithHistory(const WorkerHistory& history, const std::string& directory);

}  // namespace pxfs::test
