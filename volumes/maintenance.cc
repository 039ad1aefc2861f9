#include "volumes/maintenance.h"

#include <fcntl.h>

#include <set>
#include <utility>

#include "base/logging.h"
#include "meta/placement.h"
#include "volumes/settle.h"

namespace pxfs::volumes {
namespace {

constexpr auto kReportInterval = std::chrono::seconds(1);
// The longest that a reclaimer waits in the service, and so the longest that ending it takes.
constexpr auto kReclaimWait = std::chrono::milliseconds(200);
constexpr uint32_t kReclaimBatch = 1024;
// As long as Linux lets changed pages wait by default.
constexpr auto kCheckpointInterval = std::chrono::seconds(30);
// Between two batches that are not full, as each costs a sync of the store.
constexpr auto kReclaimPause = std::chrono::milliseconds(50);

meta::ContentState KnownContent(const meta::Attr& attr) {
  meta::ContentState content;
  content.size_bytes = attr.size_bytes;
  content.blocks = attr.blocks;
  content.atime = attr.atime;
  content.mtime = attr.mtime;
  content.ctime = attr.ctime;
  return content;
}

// The content of a file as its primary's object has it; kUnavailable while the volume is offline.
Result<meta::ContentState> FindContent(const meta::Location& location, const VolumeSet& volumes) {
  if (location.replicas.empty()) return KnownContent(location.attr);
  const meta::Replica& primary = location.replicas.front();
  // Lost with its volume: what is known of it stays true.
  if (primary.state == meta::ReplicaState::kMissing) return KnownContent(location.attr);
  PXFS_ASSIGN(const std::shared_ptr<Volume> volume, volumes.Require(primary.volume));
  const auto st = volume->StatObject({location.attr.inode, primary.object_generation});
  if (st) return ContentOf(*st);
  if (!(st.error() == Code::kNotFound)) return Fail(st.error());
  // Never written: the file is empty, and gets the object that its creator had no time to make.
  // Written once: what is known of it stays true, so that reading it says that the object is lost
  // rather than showing an empty file.
  if (primary.materialized) {
    log::error("{}: lost while inode {} was open for writing",
               volumes.ObjectPath(primary, location.attr.inode), location.attr.inode.value);
    return KnownContent(location.attr);
  }
  const ObjectOwner owner{location.attr.uid, location.attr.gid, location.attr.mode & 07777};
  PXFS_TRY(volume->OpenObject({location.attr.inode, primary.object_generation}, O_RDWR | O_CREAT,
                              &owner));
  meta::ContentState empty = KnownContent(location.attr);
  empty.size_bytes = empty.blocks = 0;
  return empty;
}

// True when no object of the item is left within the cluster: those on volumes that are not among
// the `listed` ones any more went with these.
bool RemoveObjects(const meta::ReclaimItem& item, const VolumeSet& volumes,
                   const std::vector<meta::VolumeInfo>& listed,
                   std::set<std::pair<VolumeId, uint64_t>>& directories) {
  bool gone = true;
  for (const meta::Replica& replica : item.replicas) {
    if (!meta::FindVolume(listed, replica.volume)) continue;
    const auto volume = volumes.Find(replica.volume);
    if (!volume) {
      gone = false;
      continue;
    }
    const ObjectName name{item.inode, replica.object_generation};
    if (const auto removed = volume->RemoveObject(name); !removed) {
      log::warn("cannot remove an object: {}", removed.error().message());
      gone = false;
    }
    directories.emplace(replica.volume, item.inode.value / 1024);
  }
  return gone;
}

}  // namespace

Status RecoverOpenFiles(meta::MetadataService& metadata, const VolumeSet& volumes) {
  PXFS_ASSIGN(const std::vector<meta::Location> files, metadata.FilesToRecover());
  for (const meta::Location& file : files) {
    const auto content = FindContent(file, volumes);
    if (!content) {
      // Stays on the list, and is found again when the volume is back.
      log::debug("inode {} cannot be recovered yet: {}", file.attr.inode.value,
                 content.error().message());
      continue;
    }
    PXFS_TRY(metadata.CommitRecovered(file.attr.inode, *content));
  }
  return {};
}

Result<size_t> ReclaimOnce(meta::MetadataService& metadata, const VolumeSet& volumes,
                           uint32_t limit, std::chrono::milliseconds wait) {
  PXFS_ASSIGN(std::vector<meta::ReclaimItem> items, metadata.WaitReclaimable(limit, wait));
  // Else a removed file could be back after loss of power, without its object.
  if (!items.empty()) PXFS_TRY(metadata.Sync());
  if (items.empty()) return 0;
  PXFS_ASSIGN(const auto listed, metadata.ListVolumes());
  std::set<std::pair<VolumeId, uint64_t>> directories;
  std::erase_if(items, [&](const meta::ReclaimItem& item) {
    return !RemoveObjects(item, volumes, listed, directories);
  });
  for (const auto& [id, directory] : directories) {
    if (const auto volume = volumes.Find(id))
      volume->PruneDirectory({InodeId(directory * 1024), 0});
  }
  if (!items.empty()) PXFS_TRY(metadata.Reclaimed(items));
  return items.size();
}

Maintenance::Maintenance(meta::MetadataService& metadata, VolumeSet& volumes,
                         MetadataCopies::Cluster cluster)
    : metadata_(metadata),
      volumes_(volumes),
      copies_(metadata, volumes, std::move(cluster)),
      reporter_([this] { ReportLoop(); }),
      reclaimer_([this] { ReclaimLoop(); }) {
  if (metadata_.keeper() != nullptr) keeper_ = std::thread([this] { KeepLoop(); });
}

Maintenance::~Maintenance() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  reporter_.join();
  reclaimer_.join();
  if (keeper_.joinable()) keeper_.join();
}

bool Maintenance::Pause(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return !stop_.wait_for(lock, time, [this] { return stopping_; });
}

void Maintenance::ReportLoop() {
  do {
    if (const auto done = volumes_.Refresh(); !done)
      log::warn("cannot report the volumes: {}", done.error().message());
    if (const auto done = RecoverOpenFiles(metadata_, volumes_); !done)
      log::warn("cannot recover files that were open: {}", done.error().message());
  } while (Pause(kReportInterval));
}

void Maintenance::KeepLoop() {
  meta::StoreKeeper& keeper = *metadata_.keeper();
  if (const auto settled = SettlePowerLoss(metadata_, volumes_); !settled)
    log::warn("cannot look for objects that nothing refers to: {}", settled.error().message());
  for (bool more = true; more;) {
    // Once more at the end, so that a machine that is shut down in order has nothing to compare.
    more = Pause(kCheckpointInterval);
    const auto changed = Checkpoint(keeper, metadata_, volumes_);
    if (!changed) log::warn("cannot make content durable: {}", changed.error().message());
    copies_.WriteIfDue(!changed || *changed);
  }
}

void Maintenance::ReclaimLoop() {
  while (Pause(std::chrono::milliseconds(0))) {
    const auto reclaimed = ReclaimOnce(metadata_, volumes_, kReclaimBatch, kReclaimWait);
    if (reclaimed) {  // what could not go now is handed out again later
      if (*reclaimed > 0 && *reclaimed < kReclaimBatch) Pause(kReclaimPause);
      continue;
    }
    log::warn("cannot reclaim objects: {}", reclaimed.error().message());
    Pause(kReportInterval);
  }
}

}  // namespace pxfs::volumes
