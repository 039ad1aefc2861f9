#include <algorithm>
#include <functional>
#include <unordered_set>

#include "meta/copy_queue.h"
#include "meta/local_service_impl.h"
#include "meta/lost_volumes.h"
#include "meta/placement.h"

namespace pxfs::meta {
namespace {

void Add(CopyCensus::Count& count, const InodeRecord& file) {
  ++count.files;
  count.bytes += file.attr.size_bytes;
}

// Looks at files one by one, each once however many reasons lead to it.
class CopyCounter {
 public:
  using Find = std::function<Result<InodePtr>(InodeId)>;
  using PolicyOf = std::function<Result<PolicyView>(InodeId)>;

  CopyCounter(const std::vector<VolumeInfo>& volumes, Find find, PolicyOf policy_of)
      : volumes_(volumes), find_(std::move(find)), policy_of_(std::move(policy_of)) {}

  // A volume whose files are to be listed.
  void AddLoss(VolumeId volume, const std::string& name, bool removed) {
    census_.lost.push_back({volume, name, removed, {}});
  }
  // The file, where it is one.
  Result<InodePtr> Look(InodeId inode) {
    auto file = find_(inode);
    if (!file && file.error() == Code::kNotFound) return InodePtr();
    if (!file) return file;
    if (!(*file)->attr.is_regular() || (*file)->removed()) return InodePtr();
    if (seen_.insert(inode.value).second) PXFS_TRY(Judge(**file));
    return file;
  }
  void AddQueued(const InodeRecord* file) {
    ++census_.queued.files;
    if (file) census_.queued.bytes += file->attr.size_bytes;
  }
  CopyCensus Done() && {
    std::erase_if(census_.lost, [](const auto& loss) { return loss.count.files == 0; });
    return std::move(census_);
  }

 private:
  Status Judge(const InodeRecord& file) {
    uint32_t reached = 0, counted = 0;
    bool stale = false;
    VolumeId primary;
    for (const Replica& replica : file.replicas) {
      if (replica.primary) primary = replica.volume;
      stale |= replica.state == ReplicaState::kStale;
      const VolumeInfo* volume = FindVolume(volumes_, replica.volume);
      if (replica.state != ReplicaState::kCurrent || !volume ||
          volume->state == VolumeState::kOffline)
        continue;
      ++reached;
      if (volume->state != VolumeState::kDraining) ++counted;
    }
    if (stale) Add(census_.stale, file);
    if (reached == 0) {
      for (CopyCensus::Loss& loss : census_.lost)
        if (loss.volume == primary) Add(loss.count, file);
      return {};
    }
    PXFS_ASSIGN(const PolicyView policy, policy_of_(file.attr.inode));
    if (counted < WantedCopies(policy.effective, file.wishes)) Add(census_.under_replicated, file);
    return {};
  }

  const std::vector<VolumeInfo>& volumes_;
  const Find find_;
  const PolicyOf policy_of_;
  std::unordered_set<uint64_t> seen_;
  CopyCensus census_;
};

}  // namespace

Result<CopyCensus> LocalService::GetCopyCensus() {
  const VolumeTable::Snapshot volumes = volumes_.Current();
  CopyCounter counter(
      *volumes, [&](InodeId inode) { return store_->GetInode(inode); },
      [&](InodeId inode) { return policies_.View(inode); });
  std::vector<VolumeId> away;
  for (const VolumeInfo& volume : *volumes) {
    if (volume.state != VolumeState::kOffline) continue;
    away.push_back(volume.id);
    counter.AddLoss(volume.id, volume.name, false);
  }
  PXFS_TRY(ForEachRecord(*this, kLostVolumePrefix, [&](const Record& record) -> Status {
    if (const auto id = ParseLostVolume(record.key)) {
      away.push_back(*id);
      counter.AddLoss(*id, record.value, true);
    }
    return {};
  }));
  for (const VolumeId volume : away)
    PXFS_TRY(ForEachInodeOn(*this, volume, [&](InodeId inode) -> Status {
      PXFS_TRY(counter.Look(inode));
      return {};
    }));
  PXFS_TRY(ForEachRecord(*this, kCopyQueuePrefix, [&](const Record& record) -> Status {
    const auto item = ParseCopyItem(record.key);
    if (!item) return {};
    if (item->reason == CopyReason::kVolume) {
      // Else it waits until the volume is back, or not draining any more.
      const VolumeInfo* volume = FindVolume(*volumes, VolumeId(item->inode.value));
      if (volume && volume->state != VolumeState::kOffline &&
          volume->state != VolumeState::kDraining)
        counter.AddQueued(nullptr);
      return {};
    }
    PXFS_ASSIGN(const InodePtr file, counter.Look(item->inode));
    counter.AddQueued(file.get());
    return {};
  }));
  return std::move(counter).Done();
}

}  // namespace pxfs::meta
