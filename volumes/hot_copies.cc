#include "volumes/hot_copies.h"

#include <sys/prctl.h>

#include <set>

#include "base/logging.h"
#include "meta/copy_queue.h"
#include "meta/placement.h"

namespace pxfs::volumes {
namespace {

using std::chrono::duration_cast;
using std::chrono::system_clock;

int64_t UnixSeconds() {
  return duration_cast<std::chrono::seconds>(system_clock::now().time_since_epoch()).count();
}

bool InUse(const meta::VolumeInfo& volume) {
  return volume.state == meta::VolumeState::kOnline || volume.state == meta::VolumeState::kReadOnly;
}

}  // namespace

Result<std::unique_ptr<HotCopies>> HotCopies::Start(meta::MetadataService& metadata,
                                                    HeatTable& heat,
                                                    const HotRuleOptions& options) {
  std::unique_ptr<HotCopies> copies(new HotCopies(metadata, heat, options));
  PXFS_TRY(copies->Load());
  copies->thread_ = std::thread([self = copies.get()] { self->Loop(); });
  return copies;
}

HotCopies::~HotCopies() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Status HotCopies::Load() {
  PXFS_ASSIGN(const auto records, AllHotRecords(metadata_));
  for (const HotRecord& record : records) records_[record.inode][record.volume] = record;
  return {};
}

void HotCopies::Loop() {
  ::prctl(PR_SET_NAME, "pxfs-hot");
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, kInterval, [this] { return stopping_; })) {
    lock.unlock();
    if (const Status looked = Look(); !looked)
      log::warn("copies of hot files: {}", looked.error().message());
    lock.lock();
  }
}

Status HotCopies::Look() {
  std::set<InodeId> candidates;
  for (const auto& [inode, copies] : records_) candidates.insert(inode);
  for (const Heat& heat : heat_.Hottest(kMost)) {
    if (heat.opens < rule_.options().opens_per_copy) break;
    candidates.insert(heat.inode);
  }
  std::vector<meta::VolumeInfo> listed;
  std::vector<HotVolume> volumes;
  std::vector<HotFile> files;
  if (!candidates.empty()) {
    PXFS_ASSIGN(listed, metadata_.ListVolumes());
  }
  for (const meta::VolumeInfo& volume : listed)
    if (InUse(volume)) volumes.push_back({volume.id, volume.total_bytes, meta::Headroom(volume)});
  std::vector<HotDecision> decisions;
  for (const InodeId inode : candidates) {
    const auto file = Describe(listed, inode);
    if (!file) {
      // One that cannot be looked at must not keep others from their copies.
      log::warn("copies of hot inode {}: {}", inode.value, file.error().message());
    } else if (*file) {
      files.push_back(std::move(**file));
    } else if (const auto gone = records_.find(inode); gone != records_.end()) {
      for (const auto& [volume, record] : gone->second)
        decisions.push_back({false, inode, volume, "the file is gone"});
    }
  }
  for (HotDecision& decision : rule_.Decide(std::chrono::steady_clock::now(), files, volumes))
    decisions.push_back(std::move(decision));
  return decisions.empty() ? Status() : Obey(decisions);
}

Result<std::unique_ptr<HotFile>> HotCopies::Describe(const std::vector<meta::VolumeInfo>& volumes,
                                                     InodeId inode) {
  const auto location = metadata_.Locate({}, inode);
  const bool gone = !location && location.error() == Code::kNotFound;
  if (!location && !gone) return Fail(location.error());
  if (gone || !location->attr.is_regular() || location->attr.nlink == 0) return nullptr;
  auto policy = metadata_.GetPolicy(inode);
  if (!policy && policy.error() == Code::kNotFound) return nullptr;
  if (!policy) return Fail(policy.error());
  auto file = std::make_unique<HotFile>();
  file->inode = inode;
  file->size_bytes = location->attr.size_bytes;
  file->generation = location->attr.generation;
  const Heat heat = heat_.Get(inode);
  file->demand.push_back({NodeId(), heat.opens, heat.bytes});
  file->allowed = policy->effective.hot.value_or(true);
  file->written = location->attr.open_for_write;
  file->max_copies = policy->effective.max_copies.value_or(0);
  for (const meta::Replica& replica : location->replicas) {
    const meta::VolumeInfo* volume = meta::FindVolume(volumes, replica.volume);
    if (replica.state == meta::ReplicaState::kCurrent && volume && InUse(*volume))
      file->replicas.push_back(replica.volume);
  }
  if (const auto known = records_.find(inode); known != records_.end())
    for (const auto& [volume, record] : known->second) file->hot.push_back(volume);
  for (const meta::VolumeInfo& volume : volumes)
    if (volume.state == meta::VolumeState::kOnline && meta::SuitsPolicy(policy->effective, volume))
      file->suitable.push_back(volume.id);
  return file;
}

Status HotCopies::Obey(const std::vector<HotDecision>& decisions) {
  std::vector<meta::RecordWrite> writes;
  std::set<InodeId> inodes;
  const int64_t now = UnixSeconds();
  for (const HotDecision& decision : decisions) {
    const HotRecord record{decision.inode, decision.volume, now, decision.why};
    if (decision.make)
      writes.push_back(ToWrite(record));
    else
      writes.push_back({KeyOf(record), std::nullopt});
    inodes.insert(decision.inode);
  }
  for (const InodeId inode : inodes)
    writes.push_back({meta::KeyOf({meta::CopyReason::kHeat, inode, meta::NewItemNumber()}), ""});
  PXFS_TRY(metadata_.WriteRecords(writes, /*sync=*/false));
  for (const HotDecision& decision : decisions) {
    Copies& copies = records_[decision.inode];
    if (decision.make)
      copies[decision.volume] = {decision.inode, decision.volume, now, decision.why};
    else
      copies.erase(decision.volume);
    if (copies.empty()) records_.erase(decision.inode);
    log::info("inode {}: a copy on volume {} {}: {}", decision.inode.value, decision.volume.value,
              decision.make ? "for heat" : "is wanted no more", decision.why);
  }
  return {};
}

}  // namespace pxfs::volumes
