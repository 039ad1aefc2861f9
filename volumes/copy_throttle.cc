#include "volumes/copy_throttle.h"

#include <algorithm>

namespace pxfs::volumes {
namespace {

// What may be copied at once after a pause: so much time's worth.
constexpr double kBurstSeconds = 0.1;

}  // namespace

void CopyThrottle::SetRate(Bucket& bucket, uint64_t rate) {
  if (bucket.rate == rate) return;
  bucket = {rate, 0, Clock::now()};
}

void CopyThrottle::SetRates(uint64_t total, const std::map<VolumeId, uint64_t>& volumes) {
  std::lock_guard lock(mutex_);
  SetRate(total_, total);
  std::erase_if(volumes_, [&](const auto& item) { return !volumes.contains(item.first); });
  for (const auto& [id, rate] : volumes) SetRate(volumes_[id], rate);
}

double CopyThrottle::Take(Bucket& bucket, uint64_t bytes, Clock::time_point now) {
  if (bucket.rate == 0) return 0;
  const auto rate = static_cast<double>(bucket.rate);
  const double since = std::chrono::duration<double>(now - bucket.filled).count();
  bucket.filled = std::max(bucket.filled, now);
  bucket.tokens = std::min(bucket.tokens + std::max(since, 0.0) * rate, rate * kBurstSeconds);
  bucket.tokens -= static_cast<double>(bytes);
  return bucket.tokens < 0 ? -bucket.tokens / rate : 0;
}

std::chrono::nanoseconds CopyThrottle::Spend(VolumeId from, VolumeId to, uint64_t bytes,
                                             Clock::time_point now) {
  std::lock_guard lock(mutex_);
  double wait = Take(total_, bytes, now);
  for (const VolumeId id : {from, to}) {
    const auto bucket = volumes_.find(id);
    if (bucket != volumes_.end()) wait = std::max(wait, Take(bucket->second, bytes, now));
  }
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(wait));
}

}  // namespace pxfs::volumes
