#include "jobs/service.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "base/logging.h"
#include "jobs/service_impl.h"

namespace pxfs::jobs {
namespace {

constexpr int kWorkers = 2;

}  // namespace

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

JobService::Impl::Impl(JobServiceOptions options)
    : options_(std::move(options)), store_(options_.metadata) {}

JobService::Impl::~Impl() { Stop(StopMode::kLeaveRunning); }

Status JobService::Impl::Start() {
  PXFS_TRY(MakeDirectories(options_.state_directory, 0755));
  PXFS_ASSIGN(session_, options_.metadata.OpenSession({"job service", {}, nullptr}));
  PXFS_ASSIGN(auto loaded, store_.Load());
  std::vector<TaskLaunch> live;
  std::vector<uint64_t> unfinished;
  {
    Lock lock(mutex_);
    jobs_ = std::move(loaded.jobs);
    next_id_ = loaded.next_id;
    for (const auto& [id, job] : jobs_) {
      if (IsEnded(job.record.state())) continue;
      unfinished.push_back(id);
      for (const auto& task : job.tasks) {
        if (IsOnNode(task.state())) live.push_back(MakeLaunch(job, task));
      }
    }
    running_ = true;
    work_pending_ = true;
  }
  node_ = std::make_unique<LocalNode>(
      LocalNodeOptions{options_.metadata, options_.volumes, session_, options_.cluster_uuid,
                       options_.state_directory, options_.node_name, options_.heat,
                       options_.mountpoint, [this](TaskKey key) { return LogFile(key); }});
  workers_ = std::make_unique<Workers>(kWorkers);
  PXFS_TRY(node_->Start(*this, live, unfinished));
  engine_ = std::thread([this] { RunEngine(); });
  return {};
}

void JobService::Impl::Stop(StopMode mode) {
  {
    Lock lock(mutex_);
    if (!running_ || stopping_) return;
    if (mode == StopMode::kEndJobs) {
      draining_ = true;
      for (auto& [id, job] : jobs_) {
        if (job.record.state() != proto::JOB_RUNNING) continue;
        proto::JobRecord record = job.record;
        record.set_cancel_requested(true);
        record.set_message("the file system was unmounted");
        Apply(job, record, {});
      }
      // What runs ends in the ordinary way: by the engine.
      work_pending_ = true;
      work_.notify_all();
      changed_.wait(lock, [this] {
        return std::none_of(jobs_.begin(), jobs_.end(), [](const auto& item) {
          const auto state = item.second.record.state();
          return state == proto::JOB_RUNNING || state == proto::JOB_PUBLISHING;
        });
      });
    }
    stopping_ = true;
    waits_ended_ = true;
  }
  work_.notify_all();
  NotifyChanged();
  if (engine_.joinable()) engine_.join();
  node_->Stop(/*end_tasks=*/false);
  workers_->Stop();
  if (auto closed = options_.metadata.CloseSession(session_); !closed) {
    log::warn("job service: closing its session: {}", closed.error().message());
  }
}

void JobService::Impl::EndWaits() {
  Lock lock(mutex_);
  waits_ended_ = true;
  NotifyChanged();
}

void JobService::Impl::Wake() {
  {
    Lock lock(mutex_);
    work_pending_ = true;
  }
  work_.notify_all();
}

void JobService::Impl::NotifyChanged() {
  changed_.notify_all();
  const uint64_t one = 1;
  for (const int bell : bells_) {
    [[maybe_unused]] const ssize_t written = ::write(bell, &one, sizeof one);
  }
}

JobService::JobService(JobServiceOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
JobService::~JobService() = default;
Status JobService::Start() { return impl_->Start(); }
void JobService::Stop(StopMode mode) { impl_->Stop(mode); }
void JobService::EndWaits() { impl_->EndWaits(); }
void JobService::MountChanged() { impl_->Wake(); }

Result<proto::SubmitReply> JobService::Submit(const Caller& caller,
                                              const proto::SubmitRequest& request) {
  return impl_->Submit(caller, request);
}
Result<proto::ListReply> JobService::List(const Caller& caller, const proto::ListRequest& request) {
  return impl_->List(caller, request);
}
Result<proto::ShowReply> JobService::Show(const Caller& caller, uint64_t id) {
  return impl_->Show(caller, id);
}
Status JobService::Cancel(const Caller& caller, const proto::CancelRequest& request) {
  return impl_->Cancel(caller, request);
}
Result<proto::WaitReply> JobService::Wait(const Caller& caller, const proto::WaitRequest& request) {
  return impl_->Wait(caller, request);
}
Status JobService::Hold(const Caller& caller, const proto::HoldRequest& request) {
  return impl_->Hold(caller, request);
}
Result<proto::LogReply> JobService::ReadLog(const Caller& caller,
                                            const proto::LogRequest& request) {
  return impl_->ReadLog(caller, request);
}

}  // namespace pxfs::jobs
