// Which waiting tasks a node starts now. A pure function of what the caller knows.
//
// Order: priority, then age of the job, then the task's number. The first task that does not fit
// reserves the moment at which it will fit, as far as time limits of what runs tell; later ones may
// go first (backfill) if they end before that moment. Where it cannot be told, they may go first
// until the first one has waited for kPatience.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

#include "jobs/node.h"

namespace pxfs::jobs {

inline constexpr std::chrono::minutes kPatience{5};

struct WaitingTask {
  TaskKey key;
  uint32_t priority = 50;
  int64_t submitted_ms = 0;
  double cpus = 1;
  uint64_t memory_bytes = 0;
  uint64_t time_limit_ms = 0;  // 0: none
};

struct RunningTask {
  double cpus = 1;
  uint64_t memory_bytes = 0;
  int64_t ends_ms = 0;  // at the latest; 0: not known
};

// Sorts `waiting` and returns the indexes of those to start, in order.
std::vector<size_t> PickTasks(const NodeResources& node, std::span<const RunningTask> running,
                              std::vector<WaitingTask>& waiting, int64_t now_ms);

}  // namespace pxfs::jobs
