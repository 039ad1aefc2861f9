#include "fs/buffer_pool.h"

#include <gtest/gtest.h>

#include <vector>

namespace pxfs::fs {
namespace {

TEST(BufferPool, KeepsAsManyAsItMayAndGivesThemUpUnderPressure) {
  std::atomic<uint64_t> bytes{0};
  {
    BufferPool pool(2, bytes);
    {
      std::vector<BufferPool::Buffer> in_use;
      for (int i = 0; i < 3; ++i) in_use.push_back(pool.Take(1000));
      EXPECT_EQ(bytes, 3000u);
      pool.Shrink();
      EXPECT_EQ(bytes, 3000u) << "they are in use";
    }
    EXPECT_EQ(bytes, 2000u);
    {
      const auto again = pool.Take(500);
      EXPECT_EQ(bytes, 2000u) << "one that was there";
      const auto larger = pool.Take(4000);
      EXPECT_EQ(bytes, 5000u) << "it has replaced a smaller one";
      larger.data()[3999] = 'x';
    }
    pool.Shrink();
    EXPECT_EQ(bytes, 0u);
    { const auto after = pool.Take(10); }
    EXPECT_EQ(bytes, 10u);
  }
  EXPECT_EQ(bytes, 0u);
}

}  // namespace
}  // namespace pxfs::fs
