#include "meta/copy_queue.h"
#include "meta/keys.h"
#include "meta/local_service_impl.h"

namespace pxfs::meta {

Result<VolumeInfo> LocalService::AddVolume(const VolumeInfo& volume) {
  return volumes_.Add(volume);
}

Result<std::vector<VolumeInfo>> LocalService::ListVolumes() {
  std::vector<VolumeInfo> volumes = volumes_.List();
  PXFS_TRY(ForEachRecord(*this, PrefixOf(CopyReason::kVolume), [&](const Record& record) -> Status {
    const auto item = ParseCopyItem(record.key);
    for (VolumeInfo& volume : volumes)
      if (item && volume.id.value == item->inode.value)
        volume.unsettled |= record.value == kWasAway;
    return {};
  }));
  return volumes;
}

Status LocalService::UpdateVolume(const VolumeInfo& volume) { return volumes_.Update(volume); }

Status LocalService::ReportVolume(const VolumeReport& report) { return volumes_.Report(report); }

Result<std::vector<InodeId>> LocalService::ListVolumeInodes(VolumeId volume, InodeId after,
                                                            uint32_t limit) {
  std::vector<InodeId> inodes;
  if (limit == 0) return inodes;
  const std::string begin = keys::VolumeInode(volume, InodeId(after.value + 1));
  const std::string end = keys::EndOf(keys::Make(keys::Family::kVolumeInode, volume.value));
  Status status;
  PXFS_TRY(store_->engine().Scan(begin, end, [&](std::string_view key, std::string_view) {
    uint64_t inode = 0;
    if (!keys::ReadNumber(key, 1, &inode)) {
      status = DamagedRecord(key, "no inode");
      return false;
    }
    inodes.push_back(InodeId(inode));
    return inodes.size() < limit;
  }));
  PXFS_TRY(status);
  return inodes;
}

}  // namespace pxfs::meta
