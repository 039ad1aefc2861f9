// VolumeLoad: how busy volumes are, as far as this process can know, and so which of several
// replicas the next reader shall use.
//
// 1. In flight: the bytes of files that are open, or bound into containers, on the volume now.
//    Passthrough and views hide what is really read, so the size of a file counts for as long as it
//    can be read.
// 2. The queue of its disk, which also shows what other processes do; looked at seldom.
// 3. Between volumes that are equally busy, the one that was given less to do lately; and where
//    that is the same too, the first: it is the most likely one to be in the page cache.
//
// Thread-safe.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ids.h"

namespace pxfs::volumes {

// Requests that the block device has under way now (/sys/dev/block/M:N/inflight); 0 where there is
// no such thing. Blocks for reading /sys.
uint64_t DeviceQueue(dev_t device);

class VolumeLoad {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // Less than this makes no difference between two volumes.
  static constexpr double kNegligibleBytes = 1 << 20;
  // What one request in the queue of a disk counts for.
  static constexpr double kRequestBytes = 256 << 10;
  // For how long what was given to a volume counts: by half each time.
  static constexpr std::chrono::seconds kHalfLife{30};
  // A queue is looked at again after that.
  static constexpr std::chrono::milliseconds kQueueAge{50};

  // queue: the requests under way on the volume's disk; null: nobody knows. clock: null: the real
  // one.
  explicit VolumeLoad(std::function<uint64_t(VolumeId)> queue = nullptr,
                      std::function<Time()> clock = nullptr)
      : queue_(std::move(queue)), clock_(std::move(clock)) {}

  // A file of so many bytes can be read there from now on; until End, with the same number.
  void Begin(VolumeId volume, uint64_t bytes);
  void End(VolumeId volume, uint64_t bytes);

  // What can be read for as long as this lives.
  class Hold {
   public:
    Hold() = default;
    explicit Hold(VolumeLoad& load) : load_(&load) {}
    Hold(Hold&& other) noexcept { *this = std::move(other); }
    Hold& operator=(Hold&& other) noexcept;
    ~Hold();
    void Add(VolumeId volume, uint64_t bytes);

   private:
    VolumeLoad* load_ = nullptr;
    std::unordered_map<VolumeId, uint64_t> bytes_;
  };

  // The volumes, the least busy one first. May block for reading /sys, if there are several.
  std::vector<VolumeId> Order(std::vector<VolumeId> volumes);

 private:
  struct Counts {
    double in_flight_bytes = 0;
    double given_bytes = 0;  // decayed, as of `given_at`
    Time given_at{};
    uint64_t queue = 0;
    Time queue_at{};
  };
  static double Given(const Counts& counts, Time now);
  Time Now() const { return clock_ ? clock_() : std::chrono::steady_clock::now(); }
  void LookAtQueues(const std::vector<VolumeId>& volumes, Time now);

  const std::function<uint64_t(VolumeId)> queue_;
  const std::function<Time()> clock_;
  std::mutex mutex_;  // guards counts_
  std::unordered_map<VolumeId, Counts> counts_;
};

}  // namespace pxfs::volumes
