// How many inodes there are, and objects and bytes on each volume: counted in memory with every
// commit.
//
// They are written when the store is closed in order and removed when it is opened, so that after a
// crash there are none and they are counted from the inodes. Thread-safe.
#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_map>

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

  // True if the store was closed in order, so that nothing had to be counted.
  Result<bool> Load(KvEngine& engine);
  Status Save(KvEngine& engine) const;
  void Apply(const Change& change);

  uint64_t inodes() const;
  Usage OnVolume(VolumeId volume) const;

 private:
  Status Count(KvEngine& engine);

  mutable std::mutex mutex_;  // guards the rest
  uint64_t inodes_ = 0;
  std::unordered_map<VolumeId, Usage> volumes_;
};

}  // namespace pxfs::meta
