#include "cli/cluster.h"

#include <unistd.h>

#include <algorithm>

#include "meta/local_service.h"
#include "meta/remote_service.h"
#include "volumes/maintenance.h"

namespace pxfs::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How long one attempt waits for the store's lock before it looks for a server again.
constexpr milliseconds kAttempt{50};

Result<std::unique_ptr<meta::MetadataService>> OpenStore(const ClusterIdentity& identity,
                                                         milliseconds wait,
                                                         milliseconds session_grace,
                                                         size_t max_inodes) {
  meta::LocalOptions options;
  if (max_inodes != 0) options.inode_cache_entries = max_inodes;
  options.session_grace = session_grace;
  options.directory = identity.store_directory();
  options.lock_wait = wait;
  return meta::OpenLocalService(options);
}

// Why the store could not be opened, for somebody who may not: they need a server.
Error ExplainAccess(const ClusterIdentity& identity, const Error& error) {
  if (::geteuid() == 0 || (error.code() != Code::kAccess && error.code() != Code::kNotPermitted))
    return error;
  return Error(
      Code::kAccess,
      identity.directory +
          ": nobody serves this cluster and only root may open it, or its owner; mount it, or run "
          "as root");
}

struct OpenedService {
  std::unique_ptr<meta::MetadataService> service;
  bool embedded = false;
};

// A server may be starting (it has the store, but no socket yet) or leaving (no socket any more,
// but the store still), so both doors are tried in turn.
Result<OpenedService> OpenAny(const ClusterIdentity& identity, milliseconds wait,
                              milliseconds session_grace, size_t max_inodes) {
  const auto deadline = steady_clock::now() + wait;
  for (;;) {
    meta::RemoteOptions options;
    options.socket_path = identity.socket_path();
    auto remote = meta::ConnectRemoteService(options);
    if (remote) return OpenedService{std::move(*remote), false};
    if (!(remote.error() == Code::kUnavailable)) return Fail(remote.error());
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now());
    auto local =
        OpenStore(identity, std::clamp(left, milliseconds(0), kAttempt), session_grace, max_inodes);
    if (local) return OpenedService{std::move(*local), true};
    if (!(local.error() == Code::kBusy) || left <= milliseconds(0))
      return Fail(ExplainAccess(identity, local.error()));
  }
}

}  // namespace

Result<std::unique_ptr<Cluster>> Cluster::Open(const std::string& directory, Access access,
                                               milliseconds wait, milliseconds session_grace,
                                               size_t max_inodes) {
  std::unique_ptr<Cluster> cluster(new Cluster());
  PXFS_ASSIGN(cluster->identity_, ReadIdentity(directory));
  if (access == Access::kServe) {
    PXFS_ASSIGN(cluster->metadata_, OpenStore(cluster->identity_, wait, session_grace, max_inodes));
    cluster->embedded_ = true;
  } else {
    PXFS_ASSIGN(OpenedService opened, OpenAny(cluster->identity_, wait, session_grace, max_inodes));
    cluster->metadata_ = std::move(opened.service);
    cluster->embedded_ = opened.embedded;
  }
  cluster->volumes_ =
      std::make_unique<volumes::VolumeSet>(cluster->identity_.uuid, *cluster->metadata_,
                                           /*reports=*/cluster->embedded_);
  PXFS_TRY(cluster->volumes_->Refresh());
  if (access == Access::kAny && cluster->embedded_)
    PXFS_TRY(volumes::RecoverOpenFiles(*cluster->metadata_, *cluster->volumes_));
  return cluster;
}

Cluster::~Cluster() = default;

}  // namespace pxfs::cli
