#include "jobs/scheduler.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <tuple>

namespace pxfs::jobs {
namespace {

constexpr double kEpsilon = 1e-9;
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

struct Free {
  double cpus = 0;
  uint64_t memory_bytes = 0;

  bool Fits(const WaitingTask& task) const {
    return task.cpus <= cpus + kEpsilon && task.memory_bytes <= memory_bytes;
  }
  template <typename Task>
  void Take(const Task& task) {
    cpus -= task.cpus;
    memory_bytes -= std::min(memory_bytes, task.memory_bytes);
  }
  void Give(const RunningTask& task) {
    cpus += task.cpus;
    memory_bytes += task.memory_bytes;
  }
};

// When `task` fits at the latest; kNever where no time limit tells.
int64_t FitsAt(const WaitingTask& task, Free free, std::vector<RunningTask> running) {
  std::sort(running.begin(), running.end(), [](const RunningTask& a, const RunningTask& b) {
    return (a.ends_ms ? a.ends_ms : kNever) < (b.ends_ms ? b.ends_ms : kNever);
  });
  for (const auto& ending : running) {
    if (ending.ends_ms == 0) return kNever;
    free.Give(ending);
    if (free.Fits(task)) return ending.ends_ms;
  }
  return kNever;
}

}  // namespace

std::vector<size_t> PickTasks(const NodeResources& node, std::span<const RunningTask> running,
                              std::vector<WaitingTask>& waiting, int64_t now_ms) {
  std::sort(waiting.begin(), waiting.end(), [](const WaitingTask& a, const WaitingTask& b) {
    return std::tie(b.priority, a.submitted_ms, a.key) <
           std::tie(a.priority, b.submitted_ms, b.key);
  });
  Free free{node.cpus, node.memory_bytes};
  std::vector<RunningTask> busy(running.begin(), running.end());
  for (const auto& task : busy) free.Take(task);

  std::vector<size_t> picked;
  std::optional<int64_t> reserved_ms;  // when the first task that does not fit will
  for (size_t i = 0; i < waiting.size(); ++i) {
    const WaitingTask& task = waiting[i];
    const int64_t ends_ms =
        task.time_limit_ms ? now_ms + static_cast<int64_t>(task.time_limit_ms) : 0;
    if (free.Fits(task) &&
        (!reserved_ms || *reserved_ms == kNever || (ends_ms != 0 && ends_ms <= *reserved_ms))) {
      free.Take(task);
      busy.push_back({task.cpus, task.memory_bytes, ends_ms});
      picked.push_back(i);
    } else if (!reserved_ms) {
      reserved_ms = FitsAt(task, free, busy);
      const int64_t patience_ms = std::chrono::milliseconds(kPatience).count();
      if (*reserved_ms == kNever && now_ms - task.submitted_ms > patience_ms) return picked;
    }
  }
  return picked;
}

}  // namespace pxfs::jobs
