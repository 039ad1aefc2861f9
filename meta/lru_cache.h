// A sharded least-recently-used cache of what the store holds, kept true by the commits to it.
//
// 1. A commit publishes its changes (Publish) after the engine has applied them and before their
// versions settle.
// 2. A reader that missed fills the cache with what it read from the engine, but only if nothing
// was published
//    to that shard since the miss: else it may have read what a commit was about to replace.
//
// Thread-safe.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace pxfs::meta {

template <typename Key, typename Value, typename Hash = std::hash<Key>>
class LruCache {
 public:
  // capacity: entries, rounded down to a multiple of 64, at least 64.
  explicit LruCache(size_t capacity) : shard_capacity_(std::max<size_t>(capacity / kShards, 1)) {}

  size_t capacity() const { return shard_capacity_ * kShards; }
  size_t Size() {
    size_t size = 0;
    for (Shard& shard : shards_) {
      std::lock_guard lock(shard.mutex);
      size += shard.index.size();
    }
    return size;
  }
  // Drops the half that was not used for longest. It may fill again.
  void Shrink() {
    for (Shard& shard : shards_) {
      std::lock_guard lock(shard.mutex);
      for (size_t drop = (shard.order.size() + 1) / 2; drop > 0; --drop) {
        shard.index.erase(shard.order.back().first);
        shard.order.pop_back();
      }
    }
  }

  // When a miss was seen, for Fill.
  struct Moment {
    uint64_t published = 0;
  };

  bool Get(const Key& key, Value* value, Moment* moment) {
    Shard& shard = ShardOf(key);
    std::lock_guard lock(shard.mutex);
    const auto it = shard.index.find(key);
    if (it == shard.index.end()) {
      moment->published = shard.published;
      return false;
    }
    shard.order.splice(shard.order.begin(), shard.order, it->second);
    *value = it->second->second;
    return true;
  }

  void Fill(const Key& key, Value value, Moment moment) {
    Shard& shard = ShardOf(key);
    std::lock_guard lock(shard.mutex);
    if (shard.published == moment.published) Set(shard, key, std::move(value));
  }

  void Publish(const Key& key, Value value) {
    Shard& shard = ShardOf(key);
    std::lock_guard lock(shard.mutex);
    ++shard.published;
    Set(shard, key, std::move(value));
  }

 private:
  static constexpr size_t kShards = 64;
  using Order = std::list<std::pair<Key, Value>>;  // most recently used first

  struct alignas(64) Shard {
    std::mutex mutex;  // guards the rest
    Order order;
    std::unordered_map<Key, typename Order::iterator, Hash> index;
    uint64_t published = 0;
  };

  Shard& ShardOf(const Key& key) { return shards_[Hash()(key) >> 58]; }

  void Set(Shard& shard, const Key& key, Value value) {
    const auto [it, added] = shard.index.try_emplace(key);
    if (!added) {
      it->second->second = std::move(value);
      shard.order.splice(shard.order.begin(), shard.order, it->second);
      return;
    }
    if (shard.index.size() > shard_capacity_) {
      // The oldest node is used again: no allocation for the list in a full cache.
      const auto oldest = std::prev(shard.order.end());
      shard.index.erase(oldest->first);
      oldest->first = key;
      oldest->second = std::move(value);
      shard.order.splice(shard.order.begin(), shard.order, oldest);
    } else {
      shard.order.emplace_front(key, std::move(value));
    }
    it->second = shard.order.begin();
  }

  const size_t shard_capacity_;
  std::array<Shard, kShards> shards_;
};

}  // namespace pxfs::meta
