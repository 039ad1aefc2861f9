// The inside of JobService, shared by its source files: service.cc (life), submit.cc, engine.cc
// (what happens to jobs), queries.cc.
//
// One thread, the engine, moves jobs along; clients only add jobs and wishes (cancel, hold), and
// the launcher's threads only report. Everything is under one mutex, which is held across record
// writes: so records and memory agree, and transitions have one order. Nothing on a data path takes
// it. Long work (walking inputs, publishing, removing staged files) is done by the workers without
// it.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "jobs/local_node.h"
#include "jobs/node.h"
#include "jobs/record.h"
#include "jobs/service.h"
#include "jobs/workers.h"

namespace pxfs::jobs {

int64_t NowMs();

class JobService::Impl final : private NodeLauncher::Observer {
 public:
  explicit Impl(JobServiceOptions options);
  ~Impl() override;

  Status Start();
  void Stop(StopMode mode);
  void EndWaits();
  void Wake();

  Result<proto::SubmitReply> Submit(const Caller& caller, const proto::SubmitRequest& request);
  Result<proto::ListReply> List(const Caller& caller, const proto::ListRequest& request);
  Result<proto::ShowReply> Show(const Caller& caller, uint64_t id);
  Status Cancel(const Caller& caller, const proto::CancelRequest& request);
  Result<proto::WaitReply> Wait(const Caller& caller, const proto::WaitRequest& request);
  Status Hold(const Caller& caller, const proto::HoldRequest& request);
  Result<proto::LogReply> ReadLog(const Caller& caller, const proto::LogRequest& request);

 private:
  using Lock = std::unique_lock<std::mutex>;

  // ---- submit.cc ----
  Result<proto::User> SubmittingUser(const Caller& caller,
                                     const proto::SubmitRequest& request) const;
  Status CheckResources(const proto::JobSpec& spec) const;
  // Replaces the paths by ones without symlinks, and checks what the user may do there.
  Status CheckInputs(const proto::User& user, proto::JobSpec& spec);
  Status CheckOutput(const proto::User& user, proto::JobSpec& spec);
  Status CheckBinds(const proto::User& user, const proto::JobSpec& spec) const;
  Status CheckDependencies(const Caller& caller, const proto::JobSpec& spec);
  Result<std::string> RealPath(const meta::CallContext& user, const std::string& path);
  Result<std::vector<std::string>> DryRun(const proto::User& user, const proto::JobSpec& spec);

  // ---- engine.cc ----
  void TaskStarted(TaskKey key, const proto::Routes& routes) override;
  void TaskEnded(TaskKey key, const TaskEnd& end) override;
  void RunEngine();
  void Step();  // with mutex_ held, as all below unless they say otherwise
  void HandleStarts();
  void HandleEnds();
  bool HandleEnd(TaskKey key, const TaskEnd& end);
  void Advance(Job& job);
  void EndTasks(Job& job);
  void Finish(Job& job, proto::JobState state, int exit_status, const std::string& message);
  void FinishUnsuccessful(Job& job);
  bool DependenciesDone(Job& job);
  void Plan(Job& job);
  void StartTasks();
  bool StartTask(Job& job, proto::TaskRecord task);
  void Publish(Job& job);
  // Writes the records and then takes them over in memory. False, with a log line: not written,
  // nothing changed.
  bool Apply(Job& job, const proto::JobRecord& record, const std::vector<proto::TaskRecord>& tasks);
  TaskLaunch MakeLaunch(const Job& job, const proto::TaskRecord& task) const;
  Result<VolumeId> ChooseStagingVolume(const Job& job, uint32_t task);
  void NotifyChanged();
  // Without mutex_, on a worker.
  void PlanOnWorker(uint64_t id, const proto::JobSpec& spec, const proto::User& user);
  void PublishOnWorker(const proto::JobRecord& record, const std::vector<proto::TaskRecord>& tasks);
  void RemoveStagingThenFinish(uint64_t id, proto::JobRecord record);

  // ---- queries.cc ----
  Result<Job*> FindJob(const Caller& caller, uint64_t id);
  std::vector<std::string> Reasons(const Job& job) const;
  std::string LogFile(TaskKey key) const;

  const JobServiceOptions options_;
  RecordStore store_;
  SessionId session_;
  std::unique_ptr<NodeLauncher> node_;
  std::unique_ptr<Workers> workers_;
  std::thread engine_;

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable work_;
  std::condition_variable changed_;  // some job or task changed, or the service stops
  std::map<uint64_t, Job> jobs_;
  uint64_t next_id_ = 1;
  bool work_pending_ = false;
  bool running_ = false;
  bool draining_ = false;  // nothing is started any more
  bool stopping_ = false;
  bool waits_ended_ = false;
  bool write_failed_ = false;  // a record could not be written: the engine tries again
  std::map<TaskKey, proto::Routes> started_;  // reports of the launcher not yet recorded
  std::map<TaskKey, TaskEnd> ended_;
  std::map<uint64_t, uint64_t> grace_ms_;  // of jobs being cancelled
  std::set<TaskKey> ending_;               // the launcher has been told
  std::set<uint64_t> busy_;                // a worker has the job
  std::set<int> bells_;                    // eventfds of calls that wait for logs
};

}  // namespace pxfs::jobs
