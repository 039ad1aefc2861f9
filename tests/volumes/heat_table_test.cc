#include "volumes/heat_table.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <thread>
#include <vector>

#include "tests/support/temporary_directory.h"

namespace pxfs::volumes {
namespace {

class HeatTableTest : public testing::Test {
 protected:
  std::unique_ptr<HeatTable> Open(HeatTable::Options options = {.slots = 1024}) {
    auto table = HeatTable::Open(path_, options);
    EXPECT_TRUE(table) << (table ? "" : table.error().message());
    if (!table) std::abort();
    (*table)->SetTime(now_);
    return std::move(*table);
  }

  test::TemporaryDirectory scratch_;
  const std::string path_ = scratch_ / "heat";
  uint32_t now_ = 1'000'000;
};

TEST_F(HeatTableTest, CountsOpensAndBytes) {
  const auto table = Open();
  table->CountOpen(InodeId(7), 100);
  table->CountOpen(InodeId(7), 100);
  table->CountBytes(InodeId(7), 50);
  EXPECT_DOUBLE_EQ(table->Get(InodeId(7)).opens, 2);
  EXPECT_DOUBLE_EQ(table->Get(InodeId(7)).bytes, 250);
  EXPECT_DOUBLE_EQ(table->Get(InodeId(8)).opens, 0);
}

TEST_F(HeatTableTest, HalvesWithEveryHalfLife) {
  const auto table = Open({.slots = 1024, .half_life_seconds = 10});
  for (int i = 0; i < 8; ++i) table->CountOpen(InodeId(7), 1000);
  table->SetTime(now_ + 10);
  EXPECT_NEAR(table->Get(InodeId(7)).opens, 4, 1e-5);
  EXPECT_NEAR(table->Get(InodeId(7)).bytes, 4000, 1e-2);
  table->CountOpen(InodeId(7), 0);
  table->SetTime(now_ + 25);
  EXPECT_NEAR(table->Get(InodeId(7)).opens, 5 / std::pow(2, 1.5), 1e-5);
  table->SetTime(now_ + 1'000'000);
  EXPECT_EQ(table->Get(InodeId(7)).opens, 0);
  // A clock that is set back changes nothing.
  table->CountOpen(InodeId(7), 0);
  table->SetTime(now_);
  EXPECT_NEAR(table->Get(InodeId(7)).opens, 1, 1e-5);
}

TEST_F(HeatTableTest, ShowsTheHottestFirst) {
  const auto table = Open();
  for (uint64_t inode = 1; inode <= 5; ++inode)
    for (uint64_t i = 0; i < inode; ++i) table->CountOpen(InodeId(inode), 1);
  const auto hottest = table->Hottest(3);
  ASSERT_EQ(hottest.size(), 3u);
  EXPECT_EQ(hottest[0].inode, InodeId(5));
  EXPECT_EQ(hottest[1].inode, InodeId(4));
  EXPECT_EQ(hottest[2].inode, InodeId(3));
  table->SetTime(now_ + 10'000);
  EXPECT_TRUE(table->Hottest(3).empty());
}

// A scan over many files passes through the table and leaves the hot ones where they are.
TEST_F(HeatTableTest, KeepsTheHotWhenManyPassThrough) {
  const auto table = Open({.slots = 64});
  for (uint64_t inode = 1; inode <= 16; ++inode)
    for (int i = 0; i < 100; ++i) table->CountOpen(InodeId(inode), 1);
  for (uint64_t inode = 1000; inode < 11'000; ++inode) table->CountOpen(InodeId(inode), 1);
  // 16 files fall into 8 buckets of 8 places: no bucket has more than its places of them.
  for (uint64_t inode = 1; inode <= 16; ++inode)
    EXPECT_NEAR(table->Get(InodeId(inode)).opens, 100, 1) << inode;
  // Once those have cooled, what is wanted now takes their places.
  table->SetTime(now_ + 20 * 60);
  for (uint64_t inode = 2000; inode < 2064; ++inode) table->CountOpen(InodeId(inode), 1);
  const auto hottest = table->Hottest(64);
  EXPECT_GT(hottest.size(), 40u);
  for (const Heat& heat : hottest) EXPECT_GE(heat.inode.value, 1000u);
}

TEST_F(HeatTableTest, IsThereForTheNextProcess) {
  Open()->CountOpen(InodeId(7), 100);
  EXPECT_DOUBLE_EQ(Open()->Get(InodeId(7)).opens, 1);
  EXPECT_EQ(Open({.slots = 1 << 20})->slots(), 1024u) << "the table is as it was made";
}

TEST_F(HeatTableTest, ReplacesWhatIsNoTable) {
  for (const std::string content : {"", "short",
                                    "a text that is longer than the header of a table is, "
                                    "and yet no table of heat at all"}) {
    std::ofstream(path_, std::ios::trunc) << content;
    EXPECT_EQ(Open()->Get(InodeId(7)).opens, 0) << content;
  }
  Open()->CountOpen(InodeId(7), 1);
  ASSERT_EQ(::truncate(path_.c_str(), 4096), 0);
  EXPECT_EQ(Open()->Get(InodeId(7)).opens, 0);
  // One of a newer version is somebody's who can read it.
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(8);
    file.put(2);
  }
  const auto newer = HeatTable::Open(path_, {});
  ASSERT_FALSE(newer);
  EXPECT_EQ(newer.error().code(), Code::kInvalid);
  EXPECT_EQ(HeatTable::OpenExisting(scratch_ / "none").error().code(), Code::kNotFound);
}

TEST_F(HeatTableTest, LosesNoCountOfManyThreads) {
  const auto table = Open({.slots = 8});
  table->CountOpen(InodeId(7), 0);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 20'000; ++i) table->CountOpen(InodeId(7), 1);
    });
  for (auto& thread : threads) thread.join();
  EXPECT_DOUBLE_EQ(table->Get(InodeId(7)).opens, 80'001);
}

// Processes that count are killed at any moment; the table goes on, with numbers that make sense.
TEST_F(HeatTableTest, SurvivesKilledProcesses) {
  const auto table = Open({.slots = 64});
  for (int round = 0; round < 20; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (uint64_t i = 0;; ++i) table->CountOpen(InodeId(1 + i % 1000), 10);
    }
    while (table->Hottest(1).empty()) std::this_thread::yield();
    for (int i = 0; i < 1000; ++i) table->CountOpen(InodeId(1 + i), 10);
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    table->SetTime(now_ += 1200);  // everything has cooled, and claims of the dead are void
    for (const Heat& heat : table->Hottest(64)) {
      EXPECT_GE(heat.inode.value, 1u);
      EXPECT_LE(heat.inode.value, 1000u);
    }
    // All places can be taken again.
    for (uint64_t inode = 5000; inode < 6000; ++inode) table->CountOpen(InodeId(inode), 1);
    EXPECT_EQ(table->Hottest(100).size(), 64u);
    table->SetTime(now_ += 1200);
  }
}

}  // namespace
}  // namespace pxfs::volumes
