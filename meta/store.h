// Store: the records in a KvEngine as typed transactions, with caches of decoded inodes and
// directory slots.
//
// Run retries its body until it commits: bodies read and change through the Transaction only and
// have no other effect. An answer, error or not, is given only if all that the body read held at
// one moment.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string_view>

#include "base/result.h"
#include "meta/content_epochs.h"
#include "meta/kv_engine.h"
#include "meta/lru_cache.h"
#include "meta/records.h"
#include "meta/sequence.h"
#include "meta/slots.h"
#include "meta/totals.h"
#include "meta/transaction.h"

namespace pxfs::meta {

// CLOCK_REALTIME_COARSE: as the kernel stamps inodes, the time of the last tick.
Timestamp CoarseClock();

struct StoreOptions {
  size_t inode_cache_entries = 200'000;
  // Where a name goes in its directory; empty: XXH3, seeded by the cluster. Tests force collisions
  // here.
  NameHash name_hash;
  std::function<Timestamp()> clock;  // empty: CoarseClock
};

class Store {
 public:
  // The engine holds a formatted store (meta/schema.h).
  static Result<std::unique_ptr<Store>> Open(std::unique_ptr<KvEngine> engine,
                                             StoreOptions options);
  // Writes down what saves work at the next opening.
  ~Store();

  // body: Result<T>(Transaction&), or Status. Commits what it changed, if it succeeds.
  template <typename Body>
  auto Run(Body&& body) -> decltype(body(std::declval<Transaction&>()));
  // The same for bodies that change nothing.
  template <typename Body>
  auto Read(Body&& body) -> decltype(body(std::declval<Transaction&>()));

  // One inode as it is now. kNotFound.
  Result<InodePtr> GetInode(InodeId inode);

  Result<InodeId> NewInodes(uint64_t count = 1);
  // No inode has this number or a higher one yet.
  InodeId NextInode() const { return InodeId(inodes_.Next()); }
  Result<uint64_t> NewTicket() { return tickets_.Take(*engine_); }
  Result<uint64_t> NewSession() { return sessions_.Take(*engine_); }
  Result<uint64_t> NewVolume() { return volumes_.Take(*engine_); }

  uint64_t SlotOf(std::string_view name) const { return slot_of_(name); }
  Timestamp Now() const { return options_.clock(); }
  KvEngine& engine() { return *engine_; }
  const Totals& totals() const { return totals_; }
  ContentEpochs& epochs() { return epochs_; }
  size_t cached_inodes() { return inode_cache_.Size(); }
  size_t cached_names() { return slot_cache_.Size(); }
  size_t max_inodes() const { return inode_cache_.capacity(); }
  void ShrinkCaches() {
    inode_cache_.Shrink();
    slot_cache_.Shrink();
  }

 private:
  friend class Transaction;

  struct SlotKey {
    InodeId directory;
    uint64_t slot = 0;
    friend bool operator==(const SlotKey&, const SlotKey&) = default;
  };
  struct SlotHash {
    size_t operator()(const SlotKey& key) const {
      return (key.directory.value ^ key.slot) * 0x9E3779B97F4A7C15ull;
    }
  };
  // A transaction that lost this many times in a row runs while nobody else may commit.
  static constexpr int kOptimisticAttempts = 8;

  Store(std::unique_ptr<KvEngine> engine, StoreOptions options, uint64_t name_seed);

  const std::unique_ptr<KvEngine> engine_;
  StoreOptions options_;
  const meta::SlotOf slot_of_;
  Sequence inodes_, tickets_, sessions_, volumes_;
  Totals totals_;
  ContentEpochs epochs_;
  LruCache<InodeId, InodePtr> inode_cache_;
  LruCache<SlotKey, EntryPtr, SlotHash> slot_cache_;  // null: nothing in the slot
  // Shared by every commit; alone by a transaction that lost too often.
  std::shared_mutex progress_mutex_;
};

template <typename Body>
auto Store::Run(Body&& body) -> decltype(body(std::declval<Transaction&>())) {
  for (int attempt = 0;; ++attempt) {
    std::unique_lock<std::shared_mutex> alone(progress_mutex_, std::defer_lock);
    std::shared_lock<std::shared_mutex> shared(progress_mutex_, std::defer_lock);
    if (attempt >= kOptimisticAttempts) alone.lock();
    Transaction tx(*this);
    auto result = body(tx);
    if (!result && !tx.StillTrue()) continue;
    if (!result || tx.ReadOnly()) {
      if (result && !tx.StillTrue()) continue;
      return result;
    }
    if (!alone.owns_lock()) shared.lock();
    const Status committed = tx.Commit();
    if (committed) return result;
    if (committed.error().code() != Code::kConflict) return Fail(committed.error());
  }
}

template <typename Body>
auto Store::Read(Body&& body) -> decltype(body(std::declval<Transaction&>())) {
  return Run(std::forward<Body>(body));
}

}  // namespace pxfs::meta
