// JobService's engine: moves jobs from state to state.
#include <algorithm>

#include "base/hash.h"
#include "base/logging.h"
#include "jobs/input_walk.h"
#include "jobs/publish.h"
#include "jobs/scheduler.h"
#include "jobs/service_impl.h"
#include "jobs/split.h"
#include "meta/placement.h"

namespace pxfs::jobs {
namespace {

constexpr int kTimedOutStatus = 124;
constexpr int kNotLaunchedStatus = 125;
constexpr uint32_t kMostLosses = 3;  // of one task
constexpr uint64_t kDefaultGraceMs = 10'000;
// How soon a record that could not be written is tried again.
constexpr std::chrono::seconds kRetryWrite{1};

}  // namespace

// ---- reports of the launcher ----

void JobService::Impl::TaskStarted(TaskKey key, const proto::Routes& routes) {
  Lock lock(mutex_);
  started_[key] = routes;
  work_pending_ = true;
  work_.notify_all();
}

void JobService::Impl::TaskEnded(TaskKey key, const TaskEnd& end) {
  Lock lock(mutex_);
  ended_[key] = end;
  work_pending_ = true;
  work_.notify_all();
}

// ---- the loop ----

void JobService::Impl::RunEngine() {
  Lock lock(mutex_);
  while (!stopping_) {
    Step();
    // What could not be recorded is tried again after a while.
    const auto something = [this] { return work_pending_ || stopping_; };
    if (write_failed_) {
      work_.wait_for(lock, kRetryWrite, something);
    } else {
      work_.wait(lock, something);
    }
  }
}

void JobService::Impl::Step() {
  work_pending_ = false;
  write_failed_ = false;
  HandleStarts();
  HandleEnds();
  for (auto& [id, job] : jobs_) {
    if (!IsEnded(job.record.state())) Advance(job);
  }
  if (!draining_ && !options_.mountpoint().empty()) StartTasks();
}

void JobService::Impl::HandleStarts() {
  std::erase_if(started_, [this](const auto& report) {
    const auto& [key, routes] = report;
    Job& job = jobs_.at(key.job);
    proto::TaskRecord task = job.tasks.at(key.task);
    if (task.state() != proto::TASK_STARTING) return true;
    task.set_state(proto::TASK_RUNNING);
    *task.mutable_routes() = routes;
    return Apply(job, job.record, {task});
  });
}

void JobService::Impl::HandleEnds() {
  std::erase_if(ended_,
                [this](const auto& report) { return HandleEnd(report.first, report.second); });
}

bool JobService::Impl::HandleEnd(TaskKey key, const TaskEnd& end) {
  Job& job = jobs_.at(key.job);
  proto::TaskRecord task = job.tasks.at(key.task);
  if (!IsOnNode(task.state())) return true;
  const bool cancelled = job.record.cancel_requested() || ending_.contains(key);
  task.set_ended_ms(NowMs());
  task.set_message(end.message);
  task.set_exit_status(end.status);
  *task.mutable_routes() = end.routes;
  task.set_peak_memory_bytes(end.peak_memory_bytes);
  task.set_cpu_ns(end.cpu_ns);
  switch (end.kind) {
    case TaskEnd::Kind::kExited:
      task.set_state(end.status == 0 ? proto::TASK_SUCCEEDED : proto::TASK_FAILED);
      break;
    case TaskEnd::Kind::kTimedOut:
      task.set_state(proto::TASK_TIMED_OUT);
      task.set_exit_status(kTimedOutStatus);
      break;
    case TaskEnd::Kind::kEnded:
      task.set_state(proto::TASK_CANCELLED);
      break;
    case TaskEnd::Kind::kNotLaunched:
      task.set_state(proto::TASK_FAILED);
      task.set_exit_status(kNotLaunchedStatus);
      break;
    case TaskEnd::Kind::kInterrupted:
      task.set_state(proto::TASK_PENDING);
      task.set_attempt(task.attempt() - std::min(task.attempt(), 1u));
      break;
    case TaskEnd::Kind::kLost:
      task.set_losses(task.losses() + 1);
      task.set_state(task.losses() < kMostLosses ? proto::TASK_PENDING : proto::TASK_FAILED);
      task.set_exit_status(kNotLaunchedStatus);
      break;
  }
  const bool lost = end.kind == TaskEnd::Kind::kLost;
  const uint32_t failures = task.attempt() - std::min(task.attempt(), task.losses());
  if (cancelled && task.state() != proto::TASK_SUCCEEDED) {
    task.set_state(proto::TASK_CANCELLED);
  } else if (task.state() == proto::TASK_FAILED && !lost &&
             failures <= job.record.spec().retries()) {
    task.set_state(proto::TASK_PENDING);
  }
  if (!Apply(job, job.record, {task})) return false;
  ending_.erase(key);
  return true;
}

// ---- one job ----

void JobService::Impl::Advance(Job& job) {
  const auto state = job.record.state();
  if (busy_.contains(job.record.id())) return;
  // Also one that was cut short, which is simply done again.
  if (state == proto::JOB_PUBLISHING) return Publish(job);
  const auto failed = std::any_of(job.tasks.begin(), job.tasks.end(), [](const auto& task) {
    return task.state() == proto::TASK_FAILED || task.state() == proto::TASK_TIMED_OUT;
  });
  if (job.record.cancel_requested() || failed) return EndTasks(job);
  if (state == proto::JOB_HELD || !DependenciesDone(job)) return;
  if (job.record.task_count() == 0) return Plan(job);
  if (!std::all_of(job.tasks.begin(), job.tasks.end(),
                   [](const auto& task) { return task.state() == proto::TASK_SUCCEEDED; })) {
    return;
  }
  if (job.record.spec().output().empty()) {
    return Finish(job, proto::JOB_SUCCEEDED, 0, "");
  }
  proto::JobRecord record = job.record;
  record.set_state(proto::JOB_PUBLISHING);
  if (Apply(job, record, {})) Publish(job);
}

// One task failed, or the job is cancelled: the others need not go on, as nothing will be
// published.
void JobService::Impl::EndTasks(Job& job) {
  const uint64_t id = job.record.id();
  std::vector<proto::TaskRecord> changed;
  bool on_node = false;
  for (const auto& task : job.tasks) {
    if (task.state() == proto::TASK_PENDING) {
      changed.push_back(task);
      changed.back().set_state(proto::TASK_CANCELLED);
    } else if (IsOnNode(task.state())) {
      on_node = true;
    }
  }
  if (!changed.empty() && !Apply(job, job.record, changed)) return;
  if (!on_node) return FinishUnsuccessful(job);
  const auto wish = grace_ms_.find(id);
  const std::chrono::milliseconds grace(wish == grace_ms_.end() ? kDefaultGraceMs : wish->second);
  for (const auto& task : job.tasks) {
    const TaskKey key{id, task.index()};
    if (IsOnNode(task.state()) && ending_.insert(key).second) node_->End(key, grace);
  }
}

void JobService::Impl::FinishUnsuccessful(Job& job) {
  const proto::TaskRecord* first = nullptr;  // to fail, or to be cancelled while it ran
  for (const auto& task : job.tasks) {
    if (task.state() == proto::TASK_SUCCEEDED || task.attempt() == 0) continue;
    const bool task_failed = task.state() != proto::TASK_CANCELLED;
    const bool first_failed = first && first->state() != proto::TASK_CANCELLED;
    if (!first || task_failed > first_failed ||
        (task_failed == first_failed && task.ended_ms() < first->ended_ms())) {
      first = &task;
    }
  }
  const int status = first ? first->exit_status() : kNotLaunchedStatus;
  if (job.record.cancel_requested()) {
    const std::string why = job.record.message().empty() ? "cancelled" : job.record.message();
    return Finish(job, proto::JOB_CANCELLED, status, why);
  }
  const bool timed_out = first && first->state() == proto::TASK_TIMED_OUT;
  std::string message = first ? first->message() : "";
  if (message.empty()) message = "exit status " + std::to_string(status);
  if (job.tasks.size() > 1 && first)
    message = "task " + std::to_string(first->index()) + ": " + message;
  Finish(job, timed_out ? proto::JOB_TIMED_OUT : proto::JOB_FAILED, status, message);
}

void JobService::Impl::Finish(Job& job, proto::JobState state, int exit_status,
                              const std::string& message) {
  proto::JobRecord record = job.record;
  record.set_state(state);
  record.set_exit_status(exit_status);
  record.set_message(message);
  record.set_ended_ms(NowMs());
  if (record.spec().output().empty() || job.tasks.empty()) {
    Apply(job, record, {});
    return;
  }
  // Whoever waits for the job finds nothing left of it.
  busy_.insert(record.id());
  workers_->Post([this, record] { RemoveStagingThenFinish(record.id(), record); });
}

void JobService::Impl::RemoveStagingThenFinish(uint64_t id, proto::JobRecord record) {
  if (auto removed = node_->RemoveStaging(id); !removed) {
    log::error("job {}: removing its staged files: {}", id, removed.error().message());
  }
  Lock lock(mutex_);
  busy_.erase(id);
  if (record.state() == proto::JOB_SUCCEEDED) {
    // Its record was written when the result appeared.
    jobs_.at(id).record = record;
    NotifyChanged();
  } else {
    Apply(jobs_.at(id), record, {});
  }
  work_pending_ = true;
  work_.notify_all();
}

bool JobService::Impl::DependenciesDone(Job& job) {
  if (job.record.state() != proto::JOB_QUEUED) return true;
  std::vector<uint64_t> ids(job.record.waits_for().begin(), job.record.waits_for().end());
  ids.insert(ids.end(), job.record.spec().after_ok().begin(), job.record.spec().after_ok().end());
  bool done = true;
  for (const uint64_t id : ids) {
    const auto found = jobs_.find(id);
    const auto state = found == jobs_.end() ? proto::JOB_FAILED : found->second.record.state();
    if (state == proto::JOB_SUCCEEDED) continue;
    if (IsEnded(state)) {
      Finish(job, proto::JOB_FAILED, kNotLaunchedStatus,
             "job " + std::to_string(id) + ", which it waited for, did not succeed");
      return false;
    }
    done = false;
  }
  return done;
}

// ---- planning ----

void JobService::Impl::Plan(Job& job) {
  if (job.record.spec().split() != proto::SPLIT_NONE) {
    busy_.insert(job.record.id());
    workers_->Post([this, id = job.record.id(), spec = job.record.spec(),
                    user = job.record.user()] { PlanOnWorker(id, spec, user); });
    return;
  }
  proto::JobRecord record = job.record;
  record.set_task_count(1);
  proto::TaskRecord task;
  task.set_state(proto::TASK_PENDING);
  Apply(job, record, {task});
}

void JobService::Impl::PlanOnWorker(uint64_t id, const proto::JobSpec& spec,
                                    const proto::User& user) {
  Result<std::vector<proto::TaskPlan>> plans = Fail(Code::kIo);
  const auto files = ListInputFiles(options_.metadata, UserContext(session_, user), spec);
  plans = files ? SplitInputs(*files, spec.split(), spec.split_count()) : Fail(files.error());

  Lock lock(mutex_);
  busy_.erase(id);
  work_pending_ = true;
  work_.notify_all();
  Job& job = jobs_.at(id);
  if (!plans) {
    return Finish(job, proto::JOB_FAILED, kNotLaunchedStatus, plans.error().message());
  }
  Job planned = job;
  planned.record.set_task_count(static_cast<uint32_t>(plans->size()));
  RecordBatch batch;
  batch.Put(planned.record);
  for (uint32_t i = 0; i < plans->size(); ++i) {
    proto::TaskRecord task;
    task.set_index(i);
    task.set_state(proto::TASK_PENDING);
    batch.Put(id, task);
    batch.Put(id, i, (*plans)[i]);
    planned.tasks.push_back(std::move(task));
  }
  if (auto written = store_.Write(std::move(batch)); !written) {
    log::error("job {}: its plan cannot be recorded: {}", id, written.error().message());
    write_failed_ = true;
    work_pending_ = false;
    return;
  }
  job = std::move(planned);
}

// ---- starting tasks ----

void JobService::Impl::StartTasks() {
  std::vector<RunningTask> running;
  std::vector<WaitingTask> waiting;
  for (const auto& [id, job] : jobs_) {
    const auto& record = job.record;
    const auto& spec = record.spec();
    const bool may_start =
        (record.state() == proto::JOB_QUEUED || record.state() == proto::JOB_RUNNING) &&
        !record.cancel_requested() && !busy_.contains(id);
    if (IsEnded(record.state())) continue;
    for (const auto& task : job.tasks) {
      if (IsOnNode(task.state())) {
        const int64_t ends_ms = spec.time_limit_ms()
                                    ? task.started_ms() + static_cast<int64_t>(spec.time_limit_ms())
                                    : 0;
        running.push_back({spec.cpus(), spec.memory_bytes(), ends_ms});
      } else if (may_start && task.state() == proto::TASK_PENDING) {
        waiting.push_back({{id, task.index()},
                           spec.priority(),
                           record.submitted_ms(),
                           spec.cpus(),
                           spec.memory_bytes(),
                           spec.time_limit_ms()});
      }
    }
  }
  for (const size_t index : PickTasks(node_->Resources(), running, waiting, NowMs())) {
    Job& job = jobs_.at(waiting[index].key.job);
    if (!StartTask(job, job.tasks.at(waiting[index].key.task))) return;
  }
}

bool JobService::Impl::StartTask(Job& job, proto::TaskRecord task) {
  proto::JobRecord record = job.record;
  if (record.state() == proto::JOB_QUEUED) {
    record.set_state(proto::JOB_RUNNING);
    record.set_started_ms(NowMs());
  }
  task.set_state(proto::TASK_STARTING);
  task.set_attempt(task.attempt() + 1);
  task.set_node(options_.node_name);
  task.set_started_ms(NowMs());
  task.clear_message();
  if (!record.spec().output().empty()) {
    const auto volume = ChooseStagingVolume(job, task.index());
    if (!volume) {
      task.set_state(proto::TASK_FAILED);
      task.set_exit_status(kNotLaunchedStatus);
      task.set_message(volume.error().WithContext("no place for its output").message());
      work_pending_ = true;
      return Apply(job, record, {task});
    }
    task.set_staging_volume(volume->value);
  }
  if (!Apply(job, record, {task})) return false;
  TaskLaunch launch = MakeLaunch(job, task);
  auto plan = store_.LoadPlan(record.id(), task.index());
  if (!plan) {
    TaskEnd end;
    end.kind = TaskEnd::Kind::kNotLaunched;
    end.message = plan.error().message();
    ended_[launch.key] = end;
    work_pending_ = true;
    return true;
  }
  launch.plan = std::move(*plan);
  node_->Launch(std::move(launch));
  return true;
}

TaskLaunch JobService::Impl::MakeLaunch(const Job& job, const proto::TaskRecord& task) const {
  TaskLaunch launch;
  launch.key = {job.record.id(), task.index()};
  launch.spec = job.record.spec();
  launch.user = job.record.user();
  launch.task_count = job.record.task_count();
  launch.staging_volume = VolumeId(task.staging_volume());
  launch.routes = task.routes();
  return launch;
}

// As for a file that is made where the output will be, so that publishing moves no bytes.
Result<VolumeId> JobService::Impl::ChooseStagingVolume(const Job& job, uint32_t task) {
  auto& metadata = options_.metadata;
  const std::string& output = job.record.spec().output();
  const std::string above = output.substr(0, std::max<size_t>(output.rfind('/'), 1));
  meta::CallContext service;
  service.session = session_;
  PXFS_ASSIGN(const auto parent, metadata.Resolve(service, kRootInode, above, true));
  PXFS_ASSIGN(const auto policy, metadata.GetPolicy(parent.inode));
  PXFS_ASSIGN(auto volumes, metadata.ListVolumes());
  std::erase_if(volumes, [this](auto& info) {
    const auto volume = options_.volumes.Find(info.id);
    if (volume) info.free_bytes = volume->FreeBytes();  // what metadata knows may be a second old
    return !volume;
  });
  meta::PlacementRequest request;
  request.policy = policy.effective;
  request.inode = InodeId(Hash64(ToString(TaskKey{job.record.id(), task}), 0));
  request.directory = parent.inode;
  return meta::ChooseVolume(request, volumes);
}

// ---- publishing ----

void JobService::Impl::Publish(Job& job) {
  busy_.insert(job.record.id());
  workers_->Post(
      [this, record = job.record, tasks = job.tasks] { PublishOnWorker(record, tasks); });
}

void JobService::Impl::PublishOnWorker(const proto::JobRecord& record,
                                       const std::vector<proto::TaskRecord>& tasks) {
  proto::JobRecord done = record;
  done.set_state(proto::JOB_SUCCEEDED);
  done.set_exit_status(0);
  done.set_ended_ms(NowMs());
  PublishRequest request;
  request.output = record.spec().output();
  request.user = record.user();
  request.copies = record.spec().result_copies();
  for (const auto& task : tasks) {
    request.tasks.push_back({{record.id(), task.index()}, VolumeId(task.staging_volume())});
  }
  RecordBatch batch;
  batch.Put(done);
  request.records = batch.Take();
  const auto published = jobs::Publish(options_.metadata, session_, options_.volumes, request);
  if (!published) {
    done = record;
    done.set_state(proto::JOB_FAILED);
    done.set_exit_status(kNotLaunchedStatus);
    done.set_message("its result was not published: " + published.error().message());
    done.set_ended_ms(NowMs());
  }
  RemoveStagingThenFinish(record.id(), done);
}

// ---- records ----

bool JobService::Impl::Apply(Job& job, const proto::JobRecord& record,
                             const std::vector<proto::TaskRecord>& tasks) {
  RecordBatch batch;
  batch.Put(record);
  for (const auto& task : tasks) batch.Put(record.id(), task);
  if (auto written = store_.Write(std::move(batch)); !written) {
    log::error("job {}: its record cannot be written: {}", record.id(), written.error().message());
    write_failed_ = true;
    return false;
  }
  job.record = record;
  for (const auto& task : tasks) {
    if (task.index() == job.tasks.size()) {
      job.tasks.push_back(task);
    } else {
      job.tasks.at(task.index()) = task;
    }
  }
  work_pending_ = true;
  NotifyChanged();
  return true;
}

}  // namespace pxfs::jobs
