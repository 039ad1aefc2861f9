// Host: what a process runs that serves a cluster to others: the metadata service and the job
// service on the cluster's socket, and the background work of the volumes. Both the embedded mount
// and pxfsd are one.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/memory_pressure.h"
#include "base/result.h"
#include "cli/cluster.h"
#include "jobs/service.h"
#include "rpc/server.h"
#include "volumes/heat_table.h"
#include "volumes/hot_copies.h"
#include "volumes/maintenance.h"
#include "volumes/replicator.h"
#include "volumes/scrubber.h"

namespace pxfs::cli {

// For Cluster::Open: how long a successor keeps the sessions of the mounts and clients that its
// predecessor had served.
inline constexpr std::chrono::seconds kSessionGrace{10};

// The node's heat table, made if need be. Null, with a log line, where it cannot be had: nothing
// depends on it.
std::unique_ptr<volumes::HeatTable> OpenHeatTable(const ClusterIdentity& identity);

struct HostOptions {
  // Where the namespace is mounted on this node, for containers; empty while it is not. Called from
  // any thread.
  std::function<std::string()> mountpoint;
  volumes::HotRuleOptions hot;
};

class Host {
 public:
  // `cluster` is embedded (the store is open here) and outlives the host. Recovers what an earlier
  // process left, then serves.
  static Result<std::unique_ptr<Host>> Start(Cluster& cluster, HostOptions options);
  ~Host();

  // Blocks until no other session that caches (a further mount) depends on this process. A mount
  // that was killed does not count: nobody is left to resume its session. Takes no more clients
  // when it returns without an error.
  Status WaitForOtherMounts(SessionId own);
  // The mount has come: queued jobs may start.
  void MountReady();
  // The mount has gone: ends the jobs that run, whose containers would keep the file system alive.
  void EndJobs();
  // Before this process ends and another one serves the cluster in its place: answers the clients'
  // calls that run and takes no more. What does not end within `limit` is left to its client, who
  // asks the next process again. Nothing but the end of the process may follow.
  void HandOver(std::chrono::milliseconds limit);
  // Takes no more clients and ends the service. Containers that still run are left to the next one.
  void Stop();

 private:
  explicit Host(Cluster& cluster) : cluster_(cluster) {}
  Result<bool> HasOtherMounts(SessionId own);
  void WaitForDisconnect(std::chrono::milliseconds limit);

  Cluster& cluster_;
  std::unique_ptr<volumes::HeatTable> heat_;  // null where it cannot be had
  std::unique_ptr<volumes::Maintenance> maintenance_;
  std::unique_ptr<volumes::Scrubber> scrubber_;
  std::unique_ptr<volumes::Replicator> replicator_;
  std::unique_ptr<volumes::HotCopies> hot_copies_;  // null without heat
  std::unique_ptr<jobs::JobService> jobs_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<MemoryPressure> pressure_;  // null where the kernel does not tell
  std::mutex mutex_;
  std::condition_variable disconnected_;
  uint64_t disconnects_ = 0;  // guarded by mutex_
};

}  // namespace pxfs::cli
