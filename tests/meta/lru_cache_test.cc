#include "meta/lru_cache.h"

#include <gtest/gtest.h>

namespace pxfs::meta {
namespace {

struct Spread {
  size_t operator()(uint64_t key) const { return key * 0x9E3779B97F4A7C15ull; }
};
using Cache = LruCache<uint64_t, uint64_t, Spread>;

size_t Hits(Cache& cache, uint64_t from, uint64_t to) {
  size_t hits = 0;
  for (uint64_t key = from; key < to; ++key) {
    uint64_t value = 0;
    Cache::Moment moment;
    if (!cache.Get(key, &value, &moment)) continue;
    EXPECT_EQ(value, key + 1);
    ++hits;
  }
  return hits;
}

TEST(LruCacheTest, HoldsNoMoreThanItsCapacity) {
  Cache cache(6400);
  EXPECT_EQ(cache.capacity(), 6400u);
  for (uint64_t key = 0; key < 100'000; ++key) {
    cache.Publish(key, key + 1);
    ASSERT_LE(cache.Size(), 6400u);
  }
  EXPECT_EQ(cache.Size(), 6400u);
  EXPECT_EQ(Hits(cache, 0, 100'000), 6400u);
  EXPECT_EQ(Hits(cache, 95'000, 100'000), 5000u) << "the newest are there";
}

TEST(LruCacheTest, ShrinksToTheHalfThatWasUsedLast) {
  Cache cache(6400);
  for (uint64_t key = 0; key < 6400; ++key) cache.Publish(key, key + 1);
  const size_t before = cache.Size();
  cache.Shrink();
  EXPECT_LE(cache.Size(), before / 2);
  EXPECT_GT(Hits(cache, 3200, 6400), 8 * Hits(cache, 0, 3200));
  for (int i = 0; i < 20; ++i) cache.Shrink();
  EXPECT_EQ(cache.Size(), 0u);
  cache.Publish(1, 2);
  EXPECT_EQ(Hits(cache, 0, 10), 1u) << "and fills again";
}

}  // namespace
}  // namespace pxfs::meta
