// NodeLauncher: the part of the job service that is on the node where a task runs. JobService
// decides, a NodeLauncher does: it is told what to launch and tells what became of it. The one here
// is LocalNode (jobs/local_node.h); one that reaches another node takes the same messages, so
// nothing here refers to memory of the service.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "rpc/jobs.pb.h"

namespace pxfs::jobs {

struct TaskKey {
  uint64_t job = 0;
  uint32_t task = 0;
  friend auto operator<=>(const TaskKey&, const TaskKey&) = default;
};
std::string ToString(TaskKey key);  // "12.0"
// kInvalid unless it is one.
Result<TaskKey> ParseTaskKey(std::string_view text);

struct TaskLaunch {
  TaskKey key;
  proto::JobSpec spec;
  proto::User user;
  uint32_t task_count = 1;
  std::optional<proto::TaskPlan> plan;  // absent: the whole of every input
  VolumeId staging_volume;              // 0 unless the job has an output
  proto::Routes routes;                 // of a task that is taken over
};

struct TaskEnd {
  enum class Kind {
    kExited,       // with `status`
    kTimedOut,     // the time limit
    kEnded,        // by NodeLauncher::End
    kNotLaunched,  // no process of the job ever ran
    kInterrupted,  // the same, for the only reason that the service ended meanwhile
    kLost,         // it ran, but how it ended is not known
  };
  Kind kind = Kind::kExited;
  int status = 0;       // as a shell shows it: 128 + signal
  std::string message;  // for people; empty for an ordinary exit
  proto::Routes routes;
  uint64_t peak_memory_bytes = 0;
  uint64_t cpu_ns = 0;
};

struct NodeResources {
  double cpus = 0;
  uint64_t memory_bytes = 0;
};

class NodeLauncher {
 public:
  // Called from threads of the launcher, which hold no lock.
  class Observer {
   public:
    virtual ~Observer() = default;
    // The container runs. `routes` says what of the input goes which way.
    virtual void TaskStarted(TaskKey key, const proto::Routes& routes) = 0;
    // It has ended, and all that was made for it is gone but its log and its staging directory.
    virtual void TaskEnded(TaskKey key, const TaskEnd& end) = 0;
  };

  virtual ~NodeLauncher() = default;
  virtual NodeResources Resources() const = 0;
  // First of all: takes over the containers of `live` tasks that still run, reports those of them
  // that have ended meanwhile, and removes whatever else an earlier process left: containers,
  // cgroups, views, and the staging directories of jobs that are not in `staged_jobs`.
  virtual Status Start(Observer& observer, std::span<const TaskLaunch> live,
                       std::span<const uint64_t> staged_jobs) = 0;
  // Returns at once; the observer hears.
  virtual void Launch(TaskLaunch launch) = 0;
  // SIGTERM, and SIGKILL after `grace`. Returns at once. Nothing happens for a task that is not
  // there.
  virtual void End(TaskKey key, std::chrono::milliseconds grace) = 0;
  virtual Status RemoveStaging(uint64_t job) = 0;
  // end_tasks: ends them and waits until they have been reported; else leaves their containers
  // running. No observer is called after it has returned.
  virtual void Stop(bool end_tasks) = 0;
};

}  // namespace pxfs::jobs
