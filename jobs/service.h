// JobService: takes jobs, decides when and where their tasks run, and publishes what they made. It
// owns the records; a NodeLauncher (jobs/node.h) starts the containers. It reaches the namespace
// through MetadataService only.
//
// Every transition is written to the records before it is acted upon, so a service that is killed
// at any moment continues where it was: Start adopts containers that still run, finishes
// publications and removes leftovers.
//
// While tasks run, their containers hold the node's mount: umount(8) then takes away the name but
// not the file system. Whoever hosts the service watches for that and calls
// Stop(StopMode::kEndJobs).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "meta/service.h"
#include "rpc/jobs.pb.h"
#include "rpc/server.h"
#include "volumes/heat_table.h"
#include "volumes/volume.h"

namespace pxfs::jobs {

struct JobServiceOptions {
  meta::MetadataService& metadata;  // these two outlive the service
  volumes::VolumeSet& volumes;
  std::string cluster_uuid;
  std::string
      state_directory;  // <cluster>/jobs: logs, unpacked images, the state of running containers
  std::string node_name;
  volumes::HeatTable* heat = nullptr;  // of this node; outlives the service; null: none
  // Where this node's FUSE mount is now; empty while there is none: then jobs wait, and new ones
  // are refused. Called from any thread.
  std::function<std::string()> mountpoint;
};

enum class StopMode {
  kLeaveRunning,  // containers go on; the next Start adopts them
  kEndJobs,       // running tasks are ended, their jobs cancelled; queued jobs stay queued
};

// Who asks. Root may do everything; others see and change only jobs of their own.
struct Caller {
  uint32_t uid = 0, gid = 0;
  std::vector<uint32_t> groups;
};

class JobService {
 public:
  explicit JobService(JobServiceOptions options);
  ~JobService();  // as Stop(kLeaveRunning)
  JobService(const JobService&) = delete;
  JobService& operator=(const JobService&) = delete;

  // Loads the records, adopts, cleans up and begins to schedule. Fails when the records cannot be
  // read.
  Status Start();
  // Idempotent; returns once nothing of the service runs any more. Calls that wait return with
  // kUnavailable.
  void Stop(StopMode mode);
  // Calls that wait return with kUnavailable from now on; everything else goes on. Idempotent.
  void EndWaits();
  // The mount has come or gone: look at the queue again.
  void MountChanged();

  // ---- what clients call; thread-safe ----

  // kInvalid, kNotFound (input, image), kAccess, kExists (output exists or is claimed),
  // kUnavailable (no mount).
  Result<proto::SubmitReply> Submit(const Caller& caller, const proto::SubmitRequest& request);
  Result<proto::ListReply> List(const Caller& caller, const proto::ListRequest& request);
  // kNotFound, also for jobs of others.
  Result<proto::ShowReply> Show(const Caller& caller, uint64_t id);
  // Returns once the wish is recorded; the job ends soon after. A job that has ended is left as it
  // is.
  Status Cancel(const Caller& caller, const proto::CancelRequest& request);
  // Blocks until the job has ended or the time is over.
  Result<proto::WaitReply> Wait(const Caller& caller, const proto::WaitRequest& request);
  // kInvalid: it has started or ended.
  Status Hold(const Caller& caller, const proto::HoldRequest& request);
  Result<proto::LogReply> ReadLog(const Caller& caller, const proto::LogRequest& request);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Answers for `service` on `server` (Service::kJobs). `service` outlives `server`; stop it before
// the server, so that calls that wait return.
void RegisterJobService(rpc::Server& server, JobService& service);

}  // namespace pxfs::jobs
