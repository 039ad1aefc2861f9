// How fast copying may go: a limit for all of it, and one for each volume that is read or written.
// Each is a bucket that fills at its rate and may fall into debt by one block; who has taken too
// much waits. Thread-safe; never blocks.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>

#include "base/ids.h"

namespace pxfs::volumes {

class CopyThrottle {
 public:
  using Clock = std::chrono::steady_clock;

  // Bytes a second; 0 and volumes that are not named: no limit.
  void SetRates(uint64_t total, const std::map<VolumeId, uint64_t>& volumes);
  // `bytes` have been copied from one volume to the other. Returns how long to wait before the
  // next.
  std::chrono::nanoseconds Spend(VolumeId from, VolumeId to, uint64_t bytes,
                                 Clock::time_point now = Clock::now());

 private:
  struct Bucket {
    uint64_t rate = 0;
    double tokens = 0;
    Clock::time_point filled;
  };
  static void SetRate(Bucket& bucket, uint64_t rate);
  static double Take(Bucket& bucket, uint64_t bytes, Clock::time_point now);  // seconds to wait

  std::mutex mutex_;  // guards the rest
  Bucket total_;
  std::map<VolumeId, Bucket> volumes_;
};

}  // namespace pxfs::volumes
