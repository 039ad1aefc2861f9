// JobService's answers: list, show, wait, logs; and the wishes cancel and hold.
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "jobs/log_file.h"
#include "jobs/service_impl.h"

namespace pxfs::jobs {
namespace {

using Deadline = std::chrono::steady_clock::time_point;

constexpr uint32_t kMostListed = 1000;
constexpr uint64_t kMostWaitMs = 30'000;
constexpr uint64_t kMostGraceMs = 24 * 3600 * 1000;
constexpr size_t kLogPageBytes = 256 << 10;

Deadline DeadlineIn(uint64_t timeout_ms) {
  return std::chrono::steady_clock::now() +
         std::chrono::milliseconds(std::min(timeout_ms, kMostWaitMs));
}

// Wakes when a file grows (or appears) or a bell is rung.
class LogWatch {
 public:
  LogWatch()
      : inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)), bell_(::eventfd(0, EFD_CLOEXEC)) {}
  int bell() const { return bell_.get(); }
  void Watch(const std::string& file) const {
    // Not there yet: the bell rings when the task starts.
    ::inotify_add_watch(inotify_.get(), file.c_str(), IN_MODIFY);
  }
  void Await(Deadline deadline) const {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now())
            .count();
    pollfd fds[2] = {{inotify_.get(), POLLIN, 0}, {bell_.get(), POLLIN, 0}};
    if (left > 0) ::poll(fds, 2, static_cast<int>(left));
    // Taken off, so that the next wait waits.
    char buffer[4096];
    [[maybe_unused]] ssize_t n = 0;
    if (fds[0].revents) n = ::read(inotify_.get(), buffer, sizeof buffer);
    if (fds[1].revents) n = ::read(bell_.get(), buffer, sizeof buffer);
  }

 private:
  const UniqueFd inotify_;
  const UniqueFd bell_;
};

}  // namespace

Result<Job*> JobService::Impl::FindJob(const Caller& caller, uint64_t id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end() ||
      (caller.uid != 0 && caller.uid != found->second.record.user().uid())) {
    return Fail(Code::kNotFound,
                "there is no job " + std::to_string(id) + (caller.uid == 0 ? "" : " of yours"));
  }
  return &found->second;
}

std::string JobService::Impl::LogFile(TaskKey key) const {
  return options_.state_directory + "/logs/" + std::to_string(key.job) + "/" +
         std::to_string(key.task) + ".log";
}

Result<proto::ListReply> JobService::Impl::List(const Caller& caller,
                                                const proto::ListRequest& request) {
  const uint32_t limit =
      request.limit() == 0 ? kMostListed : std::min(request.limit(), kMostListed);
  proto::ListReply reply;
  reply.set_end(true);
  Lock lock(mutex_);
  for (auto it = jobs_.upper_bound(request.after()); it != jobs_.end(); ++it) {
    const auto& record = it->second.record;
    if (IsEnded(record.state()) && !request.finished()) continue;
    if (record.user().uid() != caller.uid && !(request.all_users() && caller.uid == 0)) continue;
    if (static_cast<uint32_t>(reply.jobs_size()) == limit) {
      reply.set_end(false);
      break;
    }
    *reply.add_jobs() = record;
  }
  return reply;
}

Result<proto::ShowReply> JobService::Impl::Show(const Caller& caller, uint64_t id) {
  proto::ShowReply reply;
  Lock lock(mutex_);
  PXFS_ASSIGN(const Job* const job, FindJob(caller, id));
  *reply.mutable_job() = job->record;
  for (const auto& task : job->tasks) *reply.add_tasks() = task;
  for (auto& reason : Reasons(*job)) reply.add_reasons(std::move(reason));
  return reply;
}

// Why the job waits.
std::vector<std::string> JobService::Impl::Reasons(const Job& job) const {
  std::vector<std::string> reasons;
  const auto& record = job.record;
  if (record.state() == proto::JOB_HELD) reasons.push_back("held; release it to let it run");
  if (record.state() != proto::JOB_QUEUED) return reasons;
  const auto wait_for = [&](uint64_t id, const char* why) {
    const auto found = jobs_.find(id);
    if (found == jobs_.end() || IsEnded(found->second.record.state())) return;
    reasons.push_back("waits for job " + std::to_string(id) + why);
  };
  for (const uint64_t id : record.waits_for()) wait_for(id, ", which writes its input");
  for (const uint64_t id : record.spec().after_ok()) wait_for(id, ", as its dependency asks");
  if (reasons.empty() && options_.mountpoint().empty()) {
    reasons.push_back("waits until the file system is mounted on node " + options_.node_name);
  }
  if (reasons.empty())
    reasons.push_back("waits for free CPUs or memory on node " + options_.node_name);
  return reasons;
}

Status JobService::Impl::Cancel(const Caller& caller, const proto::CancelRequest& request) {
  Lock lock(mutex_);
  PXFS_ASSIGN(Job* const job, FindJob(caller, request.id()));
  if (IsEnded(job->record.state()) || job->record.state() == proto::JOB_PUBLISHING) return {};
  proto::JobRecord record = job->record;
  record.set_cancel_requested(true);
  grace_ms_[request.id()] = std::min(request.grace_ms(), kMostGraceMs);
  if (!Apply(*job, record, {})) {
    return Fail(Code::kIo,
                "job " + std::to_string(request.id()) + ": its record cannot be written");
  }
  work_.notify_all();
  return {};
}

Status JobService::Impl::Hold(const Caller& caller, const proto::HoldRequest& request) {
  Lock lock(mutex_);
  PXFS_ASSIGN(Job* const job, FindJob(caller, request.id()));
  const auto from = request.hold() ? proto::JOB_QUEUED : proto::JOB_HELD;
  const auto to = request.hold() ? proto::JOB_HELD : proto::JOB_QUEUED;
  if (job->record.state() == to) return {};
  if (job->record.state() != from || busy_.contains(request.id())) {
    return Fail(Code::kInvalid, "job " + std::to_string(request.id()) + " is " +
                                    Name(job->record.state()) + ", not " + Name(from));
  }
  proto::JobRecord record = job->record;
  record.set_state(to);
  if (!Apply(*job, record, {})) {
    return Fail(Code::kIo,
                "job " + std::to_string(request.id()) + ": its record cannot be written");
  }
  work_.notify_all();
  return {};
}

Result<proto::WaitReply> JobService::Impl::Wait(const Caller& caller,
                                                const proto::WaitRequest& request) {
  const Deadline deadline = DeadlineIn(request.timeout_ms());
  proto::WaitReply reply;
  Lock lock(mutex_);
  while (true) {
    PXFS_ASSIGN(const Job* const job, FindJob(caller, request.id()));
    reply.set_ended(IsEnded(job->record.state()));
    *reply.mutable_job() = job->record;
    if (reply.ended()) return reply;
    if (waits_ended_) return Fail(Code::kUnavailable, "the job service is ending");
    if (changed_.wait_until(lock, deadline) == std::cv_status::timeout) return reply;
  }
}

Result<proto::LogReply> JobService::Impl::ReadLog(const Caller& caller,
                                                  const proto::LogRequest& request) {
  const Deadline deadline = DeadlineIn(request.timeout_ms());
  const std::string file = LogFile({request.id(), request.task()});
  const LogWatch watch;
  while (true) {
    bool ended = false;
    {
      Lock lock(mutex_);
      PXFS_ASSIGN(const Job* const job, FindJob(caller, request.id()));
      const auto& tasks = job->tasks;
      if (job->record.task_count() != 0 && request.task() >= tasks.size()) {
        return Fail(Code::kNotFound, "job " + std::to_string(request.id()) + " has " +
                                         std::to_string(tasks.size()) + " tasks, counted from 0");
      }
      // Asked before reading, so that nothing is written after what is read.
      ended = IsEnded(job->record.state()) ||
              (request.task() < tasks.size() && IsEnded(tasks[request.task()].state()));
      if (waits_ended_) return Fail(Code::kUnavailable, "the job service is ending");
      bells_.insert(watch.bell());
    }
    watch.Watch(file);
    proto::LogReply reply;
    const Status read = ReadLogFile(file, request.offset(), kLogPageBytes, reply);
    const bool more = reply.next_offset() > request.offset();
    const bool give_up = std::chrono::steady_clock::now() >= deadline;
    if (read && !more && !ended && !give_up) watch.Await(deadline);
    {
      Lock lock(mutex_);
      bells_.erase(watch.bell());
    }
    PXFS_TRY(read);
    reply.set_end(ended && !more);
    if (more || ended || give_up) return reply;
  }
}

}  // namespace pxfs::jobs
