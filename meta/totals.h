// How many inodes there are, and objects and bytes on each volume: counted in memory with every
// commit.
//
// They are written when the store is closed in order and removed when it is opened, so that after a
// crash there are none and they are counted from the inodes: by a thread, since programs wait for
// the service. Until it is through, inodes() waits and OnVolume() knows only of what was changed
// since. Thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <future>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "meta/kv_engine.h"
#include "meta/records.h"

namespace pxfs::meta {

class Totals {
 public:
  struct Usage {
    uint64_t objects = 0, object_bytes = 0;
  };

  // What a commit changes: collected before, applied with it.
  struct Change {
    struct Volume {
      VolumeId volume;
      int64_t objects = 0, object_bytes = 0;
    };
    int64_t inodes = 0;
    std::vector<Volume> volumes;

    // null: the inode is not there, before or after.
    void Replace(const InodeRecord* before, const InodeRecord* after);
    bool empty() const { return inodes == 0 && volumes.empty(); }

   private:
    void Add(const InodeRecord& inode, int sign);
  };

  ~Totals() { EndCounting(); }

  // Before the first commit. `engine` outlives the counting. True if the store was closed in order,
  // so that nothing has to be counted.
  Result<bool> Load(KvEngine& engine);
  // Waits for the counting. Totals that could not be counted are not written.
  Status Save(KvEngine& engine) const;
  // Gives up counting, if it is not through. Idempotent.
  void EndCounting();
  void Apply(const Change& change);

  uint64_t inodes() const;
  Usage OnVolume(VolumeId volume) const;

 private:
  // What commits change may fall below zero while the inodes before them are not counted yet.
  struct Sum {
    int64_t objects = 0, object_bytes = 0;
  };
  enum class State { kCounting, kKnown, kUnknown };

  void Add(const Change& change);  // with mutex_ held
  void Count(KvEngine& engine, std::promise<void> begun);

  mutable std::mutex mutex_;  // guards state_, inodes_ and volumes_
  mutable std::condition_variable counted_;
  State state_ = State::kKnown;
  int64_t inodes_ = 0;
  std::unordered_map<VolumeId, Sum> volumes_;
  std::atomic<bool> stop_{false};
  std::thread counter_;
};

}  // namespace pxfs::meta
