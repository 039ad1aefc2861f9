#include "volumes/volume_load.h"

#include <sys/sysmacros.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>

namespace pxfs::volumes {

uint64_t DeviceQueue(dev_t device) {
  std::ifstream in("/sys/dev/block/" + std::to_string(major(device)) + ":" +
                   std::to_string(minor(device)) + "/inflight");
  uint64_t reads = 0, writes = 0;
  return in >> reads >> writes ? reads + writes : 0;
}

double VolumeLoad::Given(const Counts& counts, Time now) {
  const std::chrono::duration<double> age = now - counts.given_at;
  const std::chrono::duration<double> half_life = kHalfLife;
  return counts.given_bytes * std::exp2(-age.count() / half_life.count());
}

void VolumeLoad::Begin(VolumeId volume, uint64_t bytes) {
  const Time now = Now();
  std::lock_guard lock(mutex_);
  Counts& counts = counts_[volume];
  counts.in_flight_bytes += static_cast<double>(bytes);
  counts.given_bytes = Given(counts, now) + static_cast<double>(bytes);
  counts.given_at = now;
}

void VolumeLoad::End(VolumeId volume, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  Counts& counts = counts_[volume];
  counts.in_flight_bytes = std::max(0.0, counts.in_flight_bytes - static_cast<double>(bytes));
}

VolumeLoad::Hold& VolumeLoad::Hold::operator=(Hold&& other) noexcept {
  std::swap(load_, other.load_);
  bytes_.swap(other.bytes_);
  return *this;
}

VolumeLoad::Hold::~Hold() {
  for (const auto& [volume, bytes] : bytes_) load_->End(volume, bytes);
}

void VolumeLoad::Hold::Add(VolumeId volume, uint64_t bytes) {
  load_->Begin(volume, bytes);
  bytes_[volume] += bytes;
}

void VolumeLoad::LookAtQueues(const std::vector<VolumeId>& volumes, Time now) {
  if (!queue_) return;
  for (const VolumeId volume : volumes) {
    {
      std::lock_guard lock(mutex_);
      if (now - counts_[volume].queue_at < kQueueAge) continue;
    }
    const uint64_t queue = queue_(volume);
    std::lock_guard lock(mutex_);
    counts_[volume].queue = queue;
    counts_[volume].queue_at = now;
  }
}

std::vector<VolumeId> VolumeLoad::Order(std::vector<VolumeId> volumes) {
  if (volumes.size() < 2) return volumes;
  const Time now = Now();
  LookAtQueues(volumes, now);
  struct Busy {
    VolumeId volume;
    double now, lately;
  };
  std::vector<Busy> all;
  {
    std::lock_guard lock(mutex_);
    for (const VolumeId volume : volumes) {
      const Counts& counts = counts_[volume];
      all.push_back({volume,
                     counts.in_flight_bytes + static_cast<double>(counts.queue) * kRequestBytes,
                     Given(counts, now)});
    }
  }
  // What exceeds the least by a negligible amount is as good as the least.
  const auto level = [&all](double Busy::*value) {
    const auto least = std::min_element(
        all.begin(), all.end(), [&](const Busy& a, const Busy& b) { return a.*value < b.*value; });
    const double limit = (*least).*value + kNegligibleBytes;
    for (Busy& busy : all)
      if (busy.*value <= limit) busy.*value = 0;
  };
  level(&Busy::now);
  level(&Busy::lately);
  std::stable_sort(all.begin(), all.end(), [](const Busy& a, const Busy& b) {
    return a.now != b.now ? a.now < b.now : a.lately < b.lately;
  });
  std::transform(all.begin(), all.end(), volumes.begin(),
                 [](const Busy& busy) { return busy.volume; });
  return volumes;
}

}  // namespace pxfs::volumes
