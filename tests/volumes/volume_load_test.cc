#include "volumes/volume_load.h"

#include <gtest/gtest.h>

#include <map>

namespace pxfs::volumes {
namespace {

using namespace std::chrono_literals;
constexpr uint64_t kMiB = 1 << 20;
const VolumeId kOne(1), kTwo(2), kThree(3);

class VolumeLoadTest : public testing::Test {
 protected:
  VolumeId Best() { return load_.Order({kOne, kTwo, kThree}).front(); }

  VolumeLoad::Time now_{1000s};
  std::map<VolumeId, uint64_t> queues_;
  int looks_ = 0;
  VolumeLoad load_{[this](VolumeId volume) {
                     ++looks_;
                     return queues_[volume];
                   },
                   [this] { return now_; }};
};

TEST_F(VolumeLoadTest, TheFirstIfNothingTellsThemApart) {
  EXPECT_EQ(load_.Order({kTwo, kOne, kThree}), (std::vector{kTwo, kOne, kThree}));
  load_.Begin(kTwo, kMiB);  // negligible
  EXPECT_EQ(load_.Order({kTwo, kOne, kThree}).front(), kTwo);
}

TEST_F(VolumeLoadTest, ReadersSpreadOverTheVolumes) {
  std::map<VolumeId, int> readers;
  for (int i = 0; i < 9; ++i) {
    const VolumeId best = Best();
    ++readers[best];
    load_.Begin(best, 16 * kMiB);
  }
  for (const VolumeId volume : {kOne, kTwo, kThree}) EXPECT_EQ(readers[volume], 3);
  // Where one has ended is where the next one goes, whatever was before.
  load_.End(kThree, 16 * kMiB);
  EXPECT_EQ(Best(), kThree);
}

TEST_F(VolumeLoadTest, OneReaderAfterTheOtherTakesTurns) {
  std::map<VolumeId, int> reads;
  for (int i = 0; i < 30; ++i) {
    const VolumeId best = Best();
    ++reads[best];
    load_.Begin(best, 16 * kMiB);
    load_.End(best, 16 * kMiB);
    now_ += 1s;
  }
  for (const VolumeId volume : {kOne, kTwo, kThree}) EXPECT_NEAR(reads[volume], 10, 1);
  now_ += 1h;
  EXPECT_EQ(Best(), kOne);
}

TEST_F(VolumeLoadTest, AHoldEndsWhatItBegan) {
  {
    VolumeLoad::Hold outer;
    {
      VolumeLoad::Hold hold(load_);
      hold.Add(kOne, 40 * kMiB);
      hold.Add(kOne, 40 * kMiB);
      hold.Add(kTwo, 20 * kMiB);
      outer = std::move(hold);
    }
    load_.Begin(kThree, 30 * kMiB);
    EXPECT_EQ(load_.Order({kOne, kTwo, kThree}), (std::vector{kTwo, kThree, kOne}));
    load_.End(kThree, 30 * kMiB);
  }
  now_ += 1h;
  EXPECT_EQ(load_.Order({kOne, kTwo, kThree}), (std::vector{kOne, kTwo, kThree}));
}

TEST_F(VolumeLoadTest, ABusyDiskIsAvoided) {
  queues_[kOne] = 30;
  queues_[kTwo] = 20;
  EXPECT_EQ(load_.Order({kOne, kTwo, kThree}), (std::vector{kThree, kTwo, kOne}));
  // Not looked at every time.
  const int looks = looks_;
  queues_[kThree] = 100;
  EXPECT_EQ(Best(), kThree);
  EXPECT_EQ(looks_, looks);
  now_ += 100ms;
  EXPECT_EQ(Best(), kTwo);
}

TEST(DeviceQueueTest, WhatIsNoBlockDeviceHasNone) { EXPECT_EQ(DeviceQueue(0), 0u); }

}  // namespace
}  // namespace pxfs::volumes
