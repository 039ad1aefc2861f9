#include "meta/local_service_impl.h"

namespace pxfs::meta {

Result<std::vector<ReclaimItem>> LocalService::WaitReclaimable(uint32_t limit,
                                                               std::chrono::milliseconds wait) {
  return reclaim_.Wait(limit, wait);
}

Status LocalService::Reclaimed(std::span<const ReclaimItem> items) {
  return reclaim_.Confirm(items);
}

}  // namespace pxfs::meta
