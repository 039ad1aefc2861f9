#include "jobs/record.h"

#include <cstdio>

#include "base/bytes.h"

namespace pxfs::jobs {
namespace {

constexpr std::string_view kPrefix = "job/";
constexpr std::string_view kNextIdPrefix = "job-next/";
constexpr std::string_view kNextIdKey = "job-next/id";
constexpr std::string_view kPlanPrefix = "job-plan/";

std::string Hex(uint64_t value, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%0*llx", digits, static_cast<unsigned long long>(value));
  return text;
}

std::string JobKey(uint64_t job) { return std::string(kPrefix) + Hex(job, 16) + "/job"; }
std::string TaskKey(uint64_t job, uint32_t task) {
  return std::string(kPrefix) + Hex(job, 16) + "/task/" + Hex(task, 8);
}
// Apart from the others, so that loading the jobs does not read every plan.
std::string PlanKey(uint64_t job, uint32_t task) {
  return std::string(kPlanPrefix) + Hex(job, 16) + "/" + Hex(task, 8);
}

tl::unexpected<Error> Damaged(const std::string& key) {
  return Fail(Code::kCorruption, "job record '" + key + "' is damaged");
}

Status LoadRecord(const meta::Record& record, std::map<uint64_t, Job>& jobs) {
  const std::string_view rest = std::string_view(record.key).substr(kPrefix.size());
  if (rest.size() < 18 || rest[16] != '/') return Damaged(record.key);
  const auto id = FromHex(rest.substr(0, 16));
  if (!id) return Damaged(record.key);
  const std::string_view kind = rest.substr(17);
  if (kind == "job") {
    Job& job = jobs[*id];
    if (!job.record.ParseFromString(record.value) || job.record.id() != *id) {
      return Damaged(record.key);
    }
    if (job.record.version() > kRecordVersion) {
      return Fail(Code::kInvalid,
                  "job record '" + record.key + "' was written by a newer pxfs; update this one");
    }
    return {};
  }
  proto::TaskRecord task;
  // Tasks come in order, so each one is the next; and after their job, whose key sorts first.
  if (!kind.starts_with("task/") || !task.ParseFromString(record.value) || !jobs.contains(*id) ||
      task.index() != jobs[*id].tasks.size()) {
    return Damaged(record.key);
  }
  jobs[*id].tasks.push_back(std::move(task));
  return {};
}

}  // namespace

bool IsEnded(proto::JobState state) {
  return state == proto::JOB_SUCCEEDED || state == proto::JOB_FAILED ||
         state == proto::JOB_CANCELLED || state == proto::JOB_TIMED_OUT;
}

bool IsEnded(proto::TaskState state) {
  return state == proto::TASK_SUCCEEDED || state == proto::TASK_FAILED ||
         state == proto::TASK_CANCELLED || state == proto::TASK_TIMED_OUT;
}

bool IsOnNode(proto::TaskState state) {
  return state == proto::TASK_STARTING || state == proto::TASK_RUNNING;
}

bool CanBecome(proto::JobState from, proto::JobState to) {
  switch (from) {
    case proto::JOB_QUEUED:
      return to == proto::JOB_HELD || to == proto::JOB_RUNNING || to == proto::JOB_FAILED ||
             to == proto::JOB_CANCELLED;
    case proto::JOB_HELD:
      return to == proto::JOB_QUEUED || to == proto::JOB_CANCELLED;
    case proto::JOB_RUNNING:
      return to == proto::JOB_PUBLISHING || IsEnded(to);
    case proto::JOB_PUBLISHING:
      return to == proto::JOB_SUCCEEDED || to == proto::JOB_FAILED || to == proto::JOB_CANCELLED;
    default:
      return false;
  }
}

bool CanBecome(proto::TaskState from, proto::TaskState to) {
  switch (from) {
    case proto::TASK_PENDING:
      return to == proto::TASK_STARTING || to == proto::TASK_CANCELLED;
    case proto::TASK_STARTING:
    case proto::TASK_RUNNING:
      // Back to pending: to be tried again.
      return to == proto::TASK_PENDING || IsEnded(to) ||
             (from == proto::TASK_STARTING && to == proto::TASK_RUNNING);
    default:
      return false;
  }
}

const char* Name(proto::JobState state) {
  switch (state) {
    case proto::JOB_QUEUED:
      return "queued";
    case proto::JOB_HELD:
      return "held";
    case proto::JOB_RUNNING:
      return "running";
    case proto::JOB_PUBLISHING:
      return "publishing";
    case proto::JOB_SUCCEEDED:
      return "succeeded";
    case proto::JOB_FAILED:
      return "failed";
    case proto::JOB_CANCELLED:
      return "cancelled";
    case proto::JOB_TIMED_OUT:
      return "timed-out";
    default:
      return "unknown";
  }
}

const char* Name(proto::TaskState state) {
  switch (state) {
    case proto::TASK_PENDING:
      return "pending";
    case proto::TASK_STARTING:
      return "starting";
    case proto::TASK_RUNNING:
      return "running";
    case proto::TASK_SUCCEEDED:
      return "succeeded";
    case proto::TASK_FAILED:
      return "failed";
    case proto::TASK_CANCELLED:
      return "cancelled";
    case proto::TASK_TIMED_OUT:
      return "timed-out";
    default:
      return "unknown";
  }
}

void RecordBatch::Put(const proto::JobRecord& job) {
  writes_.push_back({JobKey(job.id()), job.SerializeAsString()});
}

void RecordBatch::Put(uint64_t job, const proto::TaskRecord& task) {
  writes_.push_back({TaskKey(job, task.index()), task.SerializeAsString()});
}

void RecordBatch::Put(uint64_t job, uint32_t task, const proto::TaskPlan& plan) {
  writes_.push_back({PlanKey(job, task), plan.SerializeAsString()});
}

void RecordBatch::PutNextId(uint64_t id) {
  std::string value;
  AppendBigEndian64(value, id);
  writes_.push_back({std::string(kNextIdKey), std::move(value)});
}

Result<RecordStore::Loaded> RecordStore::Load() {
  Loaded loaded;
  PXFS_ASSIGN(const auto next, metadata_.ScanRecords(kNextIdPrefix, "", 1));
  if (!next.empty() && next[0].key == kNextIdKey) {
    if (next[0].value.size() != 8) return Damaged(next[0].key);
    loaded.next_id = ReadBigEndian64(next[0].value);
  }
  PXFS_TRY(meta::ForEachRecord(metadata_, kPrefix, [&](const meta::Record& record) {
    return LoadRecord(record, loaded.jobs);
  }));
  return loaded;
}

Result<std::optional<proto::TaskPlan>> RecordStore::LoadPlan(uint64_t job, uint32_t task) {
  const std::string key = PlanKey(job, task);
  const size_t directory = key.rfind('/') + 1;
  // The first record behind the key's predecessor.
  const std::string before = task == 0 ? "" : PlanKey(job, task - 1).substr(directory);
  PXFS_ASSIGN(const auto found, metadata_.ScanRecords(key.substr(0, directory), before, 1));
  if (found.empty() || found[0].key != key) return std::nullopt;
  proto::TaskPlan plan;
  if (!plan.ParseFromString(found[0].value)) return Damaged(key);
  return plan;
}

Status RecordStore::Write(RecordBatch batch) {
  const auto writes = batch.Take();
  return metadata_.WriteRecords(writes, /*sync=*/true);
}

}  // namespace pxfs::jobs
