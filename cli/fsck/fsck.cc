#include "cli/fsck/fsck.h"

#include <algorithm>

#include "cli/cluster.h"
#include "cli/fsck/objects.h"
#include "volumes/maintenance.h"
#include "volumes/settle.h"

namespace pxfs::cli {
namespace {

using meta::Finding;
using Findings = std::vector<Finding>;

constexpr uint32_t kReclaimBatch = 1024;

Result<std::unique_ptr<meta::StoreFsck>> OpenStore(const ClusterIdentity& identity,
                                                   const FsckOptions& options) {
  auto store = meta::StoreFsck::Open(identity.store_directory(), options.lock_wait);
  if (!store && store.error() == Code::kBusy)
    return Fail(Code::kBusy,
                store.error().message() +
                    "; a check needs the cluster to itself: unmount it, or stop its pxfsd");
  return store;
}

// What the next mount would do with what dead processes left: ends their sessions, learns the size
// of files that were open from the objects, deletes what is removed.
Status EndSessions(const ClusterIdentity& identity, const FsckOptions& options) {
  PXFS_ASSIGN(const auto cluster,
              Cluster::Open(identity.directory, Access::kServe, options.lock_wait));
  PXFS_TRY(volumes::RecoverOpenFiles(cluster->metadata(), cluster->volumes()));
  for (size_t reclaimed = kReclaimBatch; reclaimed > 0;) {
    PXFS_ASSIGN(reclaimed, volumes::ReclaimOnce(cluster->metadata(), cluster->volumes(),
                                                kReclaimBatch, std::chrono::milliseconds(0)));
  }
  PXFS_TRY(volumes::SettlePowerLoss(cluster->metadata(), cluster->volumes()));
  return cluster->metadata().Sync();
}

bool Same(const Finding& a, const Finding& b) {
  return a.kind == b.kind && a.inode == b.inode && (a.inode || a.what == b.what);
}

// What was found before and is not found any more is repaired.
void Compare(Findings& before, const Findings& after) {
  const auto is_in = [](const Findings& findings, const Finding& finding) {
    return std::any_of(findings.begin(), findings.end(),
                       [&](const Finding& other) { return Same(finding, other); });
  };
  for (Finding& finding : before) finding.repaired = !is_in(after, finding);
  for (const Finding& finding : after)
    if (!is_in(before, finding)) before.push_back(finding);
}

}  // namespace

Result<Findings> CheckCluster(const ClusterIdentity& identity, const FsckOptions& options) {
  PXFS_ASSIGN(auto store, OpenStore(identity, options));
  Findings volume_findings;
  PXFS_ASSIGN(OpenVolumes volumes, OpenVolumesOf(*store, identity.uuid, &volume_findings));
  PXFS_ASSIGN(Findings findings, store->Check());
  if (options.repair) {
    PXFS_ASSIGN(const InodeId last_object, LastObject(volumes));
    PXFS_TRY(store->Repair(
        [&](InodeId inode, const std::set<VolumeId>& where) {
          return FindObject(volumes, inode, where);
        },
        last_object));
    store.reset();
    PXFS_TRY(EndSessions(identity, options));
    PXFS_ASSIGN(store, OpenStore(identity, options));
    PXFS_ASSIGN(const Findings left, store->Check());
    Compare(findings, left);
  }
  findings.insert(findings.end(), volume_findings.begin(), volume_findings.end());
  PXFS_TRY(CheckObjects(*store, volumes, options.repair, &findings));
  if (options.repair) {
    for (const auto& [id, volume] : volumes) PXFS_TRY(volume->Sync());
    PXFS_TRY(store->Sync());
  }
  return findings;
}

}  // namespace pxfs::cli
