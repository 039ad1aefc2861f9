// Versions of keys for an engine that one process owns: a table of counters in memory, picked by
// the key's hash.
//
// A counter is odd while a commit to one of its keys is under way and grows with each. So two reads
// that noted even counters which both still stand saw the same state of the store.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "meta/kv_engine.h"

namespace pxfs::meta {

class StripedVersions {
 public:
  StripedVersions() : counters_(std::make_unique<std::atomic<uint64_t>[]>(kStripes)) {}

  uint64_t Of(std::string_view key) const {
    return counters_[Stripe(key)].load(std::memory_order_acquire);
  }
  static bool Settled(uint64_t version) { return version % 2 == 0; }

  // The rest only by the one thread that commits.
  bool Unchanged(const std::vector<KvRead>& reads) const {
    for (const KvRead& read : reads)
      if (Of(read.key) != read.version) return false;
    return true;
  }
  void Begin(const std::vector<KvWrite>& writes) {
    for (const KvWrite& write : writes)
      counters_[Stripe(write.key)].fetch_or(1, std::memory_order_seq_cst);
  }
  void End(const std::vector<KvWrite>& writes) {
    for (const KvWrite& write : writes) {
      auto& counter = counters_[Stripe(write.key)];
      if (const uint64_t now = counter.load(std::memory_order_relaxed); !Settled(now))
        counter.store(now + 1, std::memory_order_seq_cst);
    }
  }

 private:
  static constexpr size_t kStripes = 1 << 16;
  static size_t Stripe(std::string_view key) { return Hash64(key, 0) % kStripes; }

  std::unique_ptr<std::atomic<uint64_t>[]> counters_;
};

}  // namespace pxfs::meta
