// LocalNode: launches tasks as containers on this node.
//
// Each task has a thread that prepares it, starts it, waits for its end by pidfd and cleans up
// after it. All that a task leaves on the node is found again by name, without any record:
//   container and cgroup   pxfs-<cluster>-<job>.<task>       (<cluster>: 8 digits of its UUID)
//   run directory          /run/pxfs/<cluster>/<container>/  (bundle, process ids; `started` when
//                          its program is about to run)
//   views, staging         job-<job>.<task>, job-<job>/<task> on the volumes
// so Start can clean up after a service that was killed at any moment.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "jobs/cgroup.h"
#include "jobs/image.h"
#include "jobs/node.h"
#include "jobs/runtime.h"
#include "jobs/view.h"
#include "meta/service.h"
#include "volumes/volume.h"

namespace pxfs::jobs {

struct LocalNodeOptions {
  meta::MetadataService& metadata;  // these two outlive the node
  volumes::VolumeSet& volumes;
  SessionId session;
  std::string cluster_uuid;
  std::string state_directory;  // images/
  std::string node_name;
  volumes::HeatTable* heat = nullptr;  // may be null
  std::function<std::string()> mountpoint;
  std::function<std::string(TaskKey)> log_file;
};

class LocalNode final : public NodeLauncher {
 public:
  explicit LocalNode(LocalNodeOptions options);
  ~LocalNode() override;

  NodeResources Resources() const override;
  Status Start(Observer& observer, std::span<const TaskLaunch> live,
               std::span<const uint64_t> staged_jobs) override;
  void Launch(TaskLaunch launch) override;
  void End(TaskKey key, std::chrono::milliseconds grace) override;
  Status RemoveStaging(uint64_t job) override;
  void Stop(bool end_tasks) override;

 private:
  struct Task;
  enum class Wake { kMonitorEnded, kDeadline, kEnd, kDetach };

  std::string ContainerId(TaskKey key) const;
  std::string BundleOf(const std::string& id) const { return run_directory_ + "/" + id; }
  std::string BundleOf(TaskKey key) const { return BundleOf(ContainerId(key)); }
  std::string ContainerPrefix() const;

  void Spawn(std::shared_ptr<Task> task, bool adopt);
  void RunTask(const std::shared_ptr<Task>& task, bool adopt);
  // False: nothing to report, the container goes on without us.
  bool LaunchAndFollow(Task& task, TaskEnd& end);
  bool AdoptAndFollow(Task& task, TaskEnd& end);
  bool Follow(Task& task, const UniqueFd& monitor, TaskEnd& end);
  Wake AwaitSomething(Task& task, const UniqueFd& monitor) const;
  void Collect(const Task& task, TaskEnd& end) const;

  // All before the container's program runs.
  Result<ContainerProcesses> Prepare(Task& task, proto::Routes& routes);
  Result<Container> Describe(Task& task, const Image& image, proto::Routes& routes);
  Status WriteManifests(const Task& task, const std::vector<std::string>& files) const;
  Result<std::shared_ptr<OciRuntime>> Runtime();
  // Removes everything of the task but its log and its staging directory.
  Status Clean(TaskKey key);
  Status RemoveContainer(const std::string& id);
  void RemoveLeftovers(std::span<const TaskLaunch> live, std::span<const uint64_t> staged_jobs);

  const LocalNodeOptions options_;
  const std::string run_directory_;
  ImageStore images_;
  Observer* observer_ = nullptr;  // set by Start

  std::mutex runtime_mutex_;  // guards runtime_, and is held while it is probed
  std::shared_ptr<OciRuntime> runtime_;

  std::mutex mutex_;  // guards tasks_, finished_ and stopped_
  std::map<TaskKey, std::shared_ptr<Task>> tasks_;
  std::vector<std::thread> finished_;  // threads that have nothing left to do but end
  bool stopped_ = false;
};

}  // namespace pxfs::jobs
