#include "cli/host.h"

#include <unistd.h>

#include <algorithm>
#include <climits>
#include <future>
#include <thread>

#include "base/logging.h"
#include "base/mount_registry.h"
#include "base/unique_fd.h"
#include "meta/remote_service.h"
#include "volumes/location.h"

namespace pxfs::cli {

namespace {

std::string NodeName() {
  char name[HOST_NAME_MAX + 1] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "localhost";
}

}  // namespace

std::unique_ptr<volumes::HeatTable> OpenHeatTable(const ClusterIdentity& identity) {
  auto table = volumes::HeatTable::Open(identity.heat_path(), {});
  if (table) return std::move(*table);
  log::warn("heat is not counted: {}", table.error().message());
  return nullptr;
}

Result<std::unique_ptr<Host>> Host::Start(Cluster& cluster, HostOptions options) {
  std::unique_ptr<Host> host(new Host(cluster));
  PXFS_TRY(MakeDirectories(cluster.identity().run_directory()));
  PXFS_TRY(cluster.volumes().Refresh());
  PXFS_TRY(volumes::RecoverOpenFiles(cluster.metadata(), cluster.volumes()));
  host->maintenance_ = std::make_unique<volumes::Maintenance>(
      cluster.metadata(), cluster.volumes(),
      volumes::MetadataCopies::Cluster{cluster.identity().uuid, cluster.identity().name});
  PXFS_ASSIGN(host->replicator_, volumes::Replicator::Start(cluster.metadata(), cluster.volumes()));
  host->scrubber_ = std::make_unique<volumes::Scrubber>(cluster.metadata(), cluster.volumes());
  PXFS_ASSIGN(host->server_, rpc::ListenUnix(cluster.identity().socket_path()));
  host->server_->OnDisconnect([self = host.get()](const rpc::Peer&) {
    std::lock_guard lock(self->mutex_);
    ++self->disconnects_;
    self->disconnected_.notify_all();
  });
  meta::RegisterMetadataService(*host->server_, cluster.metadata());
  host->heat_ = OpenHeatTable(cluster.identity());
  if (host->heat_) {
    PXFS_ASSIGN(host->hot_copies_,
                volumes::HotCopies::Start(cluster.metadata(), *host->heat_, options.hot));
  }
  host->jobs_ = std::make_unique<jobs::JobService>(
      jobs::JobServiceOptions{cluster.metadata(), cluster.volumes(), cluster.identity().uuid,
                              cluster.identity().jobs_directory(), NodeName(), host->heat_.get(),
                              std::move(options.mountpoint)});
  PXFS_TRY(host->jobs_->Start());
  jobs::RegisterJobService(*host->server_, *host->jobs_);
  cluster.metadata().keeper()->BeginServing();
  PXFS_TRY(host->server_->Start());
  auto pressure =
      MemoryPressure::Watch([&cluster] { cluster.metadata().keeper()->ShrinkCaches(); });
  if (pressure)
    host->pressure_ = std::move(*pressure);
  else
    log::info("caches do not shrink when memory is short: {}", pressure.error().message());
  return host;
}

Host::~Host() { Stop(); }

Result<bool> Host::HasOtherMounts(SessionId own) {
  PXFS_ASSIGN(const meta::Statistics statistics, cluster_.metadata().GetStatistics());
  // A detached session is resumed by a daemon that the supervisor of its mount starts.
  const bool may_resume = !ListMountRecords(cluster_.identity().run_directory()).empty();
  return std::any_of(statistics.sessions.begin(), statistics.sessions.end(),
                     [&](const meta::SessionInfo& session) {
                       return session.caches && session.id != own &&
                              (session.attached || may_resume);
                     });
}

void Host::WaitForDisconnect(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  const uint64_t seen = disconnects_;
  disconnected_.wait_for(lock, limit, [&] { return disconnects_ != seen; });
}

Status Host::WaitForOtherMounts(SessionId own) {
  // A session may outlast its connection by the service's grace time: look again now and then.
  constexpr std::chrono::milliseconds kLookAgain{500};
  // A mount that has just connected opens its session at once.
  constexpr std::chrono::milliseconds kMoment{50};
  constexpr int kMoments = 20;
  for (;;) {
    for (;;) {
      PXFS_ASSIGN(const bool others, HasOtherMounts(own));
      if (!others) break;
      WaitForDisconnect(kLookAgain);
    }
    // From here on nobody else comes in. Who was coming in just now decides whether this process
    // stays.
    server_->StopListening();
    bool others = false;
    for (int i = 0; i < kMoments && !others && server_->connections() > 0; ++i) {
      WaitForDisconnect(kMoment);
      PXFS_ASSIGN(others, HasOtherMounts(own));
    }
    if (!others) {
      PXFS_ASSIGN(others, HasOtherMounts(own));
    }
    if (!others) return {};
    PXFS_TRY(server_->ListenAgain());
  }
}

void Host::MountReady() { jobs_->MountChanged(); }

void Host::EndJobs() { jobs_->Stop(jobs::StopMode::kEndJobs); }

void Host::HandOver(std::chrono::milliseconds limit) {
  auto stopped = std::make_shared<std::promise<void>>();
  std::future<void> done = stopped->get_future();
  std::thread([this, stopped] {
    server_->Stop();
    stopped->set_value();
  }).detach();
  if (done.wait_for(limit) != std::future_status::ready)
    log::warn("clients of the cluster did not get their answers in time");
}

void Host::Stop() {
  pressure_.reset();
  // Before the server, so that calls that wait for jobs return.
  if (jobs_) jobs_->Stop(jobs::StopMode::kLeaveRunning);
  if (server_) {
    server_->StopListening();
    server_->Stop();
  }
  server_.reset();
  jobs_.reset();
  hot_copies_.reset();
  scrubber_.reset();
  replicator_.reset();
  maintenance_.reset();
}

}  // namespace pxfs::cli
