#include <algorithm>

#include "meta/local_service_impl.h"

namespace pxfs::meta {

Result<StatFs> LocalService::GetStatFs() {
  StatFs total;
  total.inodes = store_->totals().inodes();
  const VolumeTable::Snapshot volumes = volumes_.Current();
  for (const VolumeInfo& volume : *volumes) {
    if (volume.state == VolumeState::kOffline) continue;
    total.total_bytes += volume.total_bytes;
    total.free_bytes += volume.free_bytes;
    // What the reserve keeps, or a volume that takes no new files, is free but not to be had.
    if (volume.state == VolumeState::kOnline)
      total.available_bytes +=
          volume.free_bytes - std::min(volume.free_bytes, volume.reserve_bytes);
  }
  return total;
}

}  // namespace pxfs::meta
