// Records: the durable state of jobs, kept through MetadataService::WriteRecords, and the state
// machine.
//
// Keys: job/<id>/job, job/<id>/task/<index> and job-plan/<id>/<index> with ids as 16 and indexes as
// 8 hex digits, and job-next/id. Values are the protobuf messages of rpc/jobs.proto;
// JobRecord.version says which.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "base/result.h"
#include "meta/service.h"
#include "rpc/jobs.pb.h"

namespace pxfs::jobs {

inline constexpr uint32_t kRecordVersion = 1;

// Where a job can go from a state; anything else is a defect of the caller.
bool CanBecome(proto::JobState from, proto::JobState to);
bool CanBecome(proto::TaskState from, proto::TaskState to);
bool IsEnded(proto::JobState state);
bool IsEnded(proto::TaskState state);
bool IsOnNode(proto::TaskState state);  // starting or running

// "queued", "timed-out"...
const char* Name(proto::JobState state);
const char* Name(proto::TaskState state);

struct Job {
  proto::JobRecord record;
  std::vector<proto::TaskRecord> tasks;  // by index; empty until planned
};

// The writes of one step, collected so that they happen in one transaction.
class RecordBatch {
 public:
  void Put(const proto::JobRecord& job);
  void Put(uint64_t job, const proto::TaskRecord& task);
  void Put(uint64_t job, uint32_t task, const proto::TaskPlan& plan);
  void PutNextId(uint64_t id);
  std::vector<meta::RecordWrite> Take() { return std::move(writes_); }

 private:
  std::vector<meta::RecordWrite> writes_;
};

class RecordStore {
 public:
  explicit RecordStore(meta::MetadataService& metadata) : metadata_(metadata) {}

  struct Loaded {
    std::map<uint64_t, Job> jobs;
    uint64_t next_id = 1;
  };
  // kCorruption names the record; kInvalid: written by a newer pxfs.
  Result<Loaded> Load();
  Result<std::optional<proto::TaskPlan>> LoadPlan(uint64_t job, uint32_t task);
  // Durable, in a power cut too, when it returns.
  Status Write(RecordBatch batch);

 private:
  meta::MetadataService& metadata_;
};

}  // namespace pxfs::jobs
