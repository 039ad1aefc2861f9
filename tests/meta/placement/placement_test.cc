#include "meta/placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

namespace pxfs::meta {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kGiB = 1ull << 30;
constexpr uint64_t kFiles = 100'000;

VolumeInfo MakeVolume(uint64_t id, uint64_t free_gib) {
  VolumeInfo volume;
  volume.id = VolumeId(id);
  volume.name = "v" + std::to_string(id);
  volume.node = NodeId(1);
  volume.total_bytes = 4096 * kGiB;
  volume.free_bytes = free_gib * kGiB;
  return volume;
}

PlacementRequest Request(Placement placement, uint64_t inode = 42, uint64_t directory = 7) {
  PlacementRequest request;
  request.policy.placement = placement;
  request.inode = InodeId(inode);
  request.directory = InodeId(directory);
  request.node = NodeId(1);
  return request;
}

VolumeId Choose(const PlacementRequest& request, const std::vector<VolumeInfo>& volumes) {
  const auto chosen = ChooseVolume(request, volumes);
  EXPECT_TRUE(chosen) << chosen.error().message();
  return chosen.value_or(VolumeId());
}

// How many of kFiles files each volume gets; every file in a directory of its own.
std::map<VolumeId, uint64_t> Distribute(Placement placement,
                                        const std::vector<VolumeInfo>& volumes) {
  std::map<VolumeId, uint64_t> count;
  for (uint64_t i = 1; i <= kFiles; ++i) ++count[Choose(Request(placement, i, i), volumes)];
  return count;
}

TEST(Spread, IsProportionalToWeightTimesFreeSpace) {
  std::vector<VolumeInfo> volumes{MakeVolume(1, 1024), MakeVolume(2, 512), MakeVolume(3, 256),
                                  MakeVolume(4, 512)};
  volumes[3].weight = 4;
  const double shares[] = {1024, 512, 256, 2048};
  const auto count = Distribute(Placement::kSpread, volumes);
  for (size_t i = 0; i < volumes.size(); ++i) {
    const double share = shares[i] / (1024 + 512 + 256 + 2048);
    const double sigma = std::sqrt(kFiles * share * (1 - share));  // of independent draws
    EXPECT_NEAR(count.at(volumes[i].id), kFiles * share, 4 * sigma) << volumes[i].name;
  }
}

TEST(Spread, CountsOnlyTheSpaceAboveTheReserve) {
  std::vector<VolumeInfo> volumes{MakeVolume(1, 512), MakeVolume(2, 1024)};
  volumes[1].reserve_bytes = 512 * kGiB;
  const auto count = Distribute(Placement::kSpread, volumes);
  EXPECT_NEAR(count.at(VolumeId(1)), kFiles / 2, 0.03 * kFiles / 2);
}

TEST(Spread, AddingAVolumeMovesOnlyItsShare) {
  std::vector<VolumeInfo> before{MakeVolume(1, 512), MakeVolume(2, 512), MakeVolume(3, 512)};
  std::vector<VolumeInfo> after = before;
  after.insert(after.begin(), MakeVolume(4, 512));
  uint64_t moved = 0;
  for (uint64_t i = 1; i <= kFiles; ++i) {
    const auto request = Request(Placement::kSpread, i);
    const VolumeId now = Choose(request, after);
    if (now == Choose(request, before)) continue;
    ASSERT_EQ(now, VolumeId(4)) << "inode " << i << " moved between old volumes";
    ++moved;
  }
  EXPECT_NEAR(moved, kFiles / 4, 0.03 * kFiles / 4);
}

TEST(Spread, TakingAVolumeAwayMovesOnlyWhatItHad) {
  std::vector<VolumeInfo> volumes{MakeVolume(1, 512), MakeVolume(2, 512), MakeVolume(3, 512)};
  std::vector<VolumeInfo> without = volumes;
  without[1].state = VolumeState::kOffline;
  for (uint64_t i = 1; i <= 1000; ++i) {
    const auto request = Request(Placement::kSpread, i);
    const VolumeId was = Choose(request, volumes);
    const VolumeId now = Choose(request, without);
    if (was == VolumeId(2))
      EXPECT_NE(now, was);
    else
      EXPECT_EQ(now, was);
  }
}

TEST(Spread, SmallChangesOfFreeSpaceMoveNothing) {
  std::vector<VolumeInfo> before{MakeVolume(1, 600), MakeVolume(2, 700), MakeVolume(3, 1000)};
  std::vector<VolumeInfo> after = before;
  for (VolumeInfo& volume : after) volume.free_bytes -= 10 * kGiB;
  for (uint64_t i = 1; i <= 10'000; ++i) {
    const auto request = Request(Placement::kSpread, i);
    ASSERT_EQ(Choose(request, before), Choose(request, after)) << "inode " << i;
  }
}

TEST(Spread, IsTheDefaultAndDoesNotDependOnTheOrderOfVolumes) {
  std::vector<VolumeInfo> volumes{MakeVolume(1, 512), MakeVolume(2, 512), MakeVolume(3, 512)};
  std::vector<VolumeInfo> reversed(volumes.rbegin(), volumes.rend());
  for (uint64_t i = 1; i <= 1000; ++i) {
    const auto request = Request(Placement::kSpread, i);
    PlacementRequest without_policy = request;
    without_policy.policy = {};
    ASSERT_EQ(Choose(request, volumes), Choose(without_policy, reversed));
  }
}

TEST(MostFree, CountsAboveTheReserve) {
  std::vector<VolumeInfo> volumes{MakeVolume(1, 500), MakeVolume(2, 800), MakeVolume(3, 700)};
  const auto request = Request(Placement::kMostFree);
  EXPECT_EQ(Choose(request, volumes), VolumeId(2));
  volumes[1].reserve_bytes = 200 * kGiB;
  EXPECT_EQ(Choose(request, volumes), VolumeId(3));
}

TEST(LocalFirst, SpreadsOverTheCallersVolumesWhileTheyHaveRoom) {
  std::vector<VolumeInfo> volumes{MakeVolume(1, 512), MakeVolume(2, 512), MakeVolume(3, 4000),
                                  MakeVolume(4, 4000)};
  volumes[2].node = volumes[3].node = NodeId(2);
  auto count = Distribute(Placement::kLocalFirst, volumes);
  EXPECT_EQ(count.size(), 2u);
  EXPECT_NEAR(count[VolumeId(1)], kFiles / 2, 0.03 * kFiles / 2);

  volumes[0].free_bytes = volumes[1].free_bytes = 0;
  count = Distribute(Placement::kLocalFirst, volumes);
  EXPECT_EQ(count.size(), 2u);
  EXPECT_NEAR(count[VolumeId(3)], kFiles / 2, 0.03 * kFiles / 2);
}

TEST(LocalFirst, ASharedVolumeIsNearToEveryNode) {
  std::vector<VolumeInfo> volumes{MakeVolume(1, 4000), MakeVolume(2, 1)};
  volumes[0].node = NodeId(2);
  volumes[1].node = NodeId();
  EXPECT_EQ(Choose(Request(Placement::kLocalFirst), volumes), VolumeId(2));
}

TEST(Colocate, KeepsADirectoryTogetherAsVolumesFill) {
  std::vector<VolumeInfo> volumes{MakeVolume(1, 4000), MakeVolume(2, 4000), MakeVolume(3, 4000)};
  const VolumeId home = Choose(Request(Placement::kColocate, 1, 99), volumes);
  for (uint64_t i = 2; i <= 1000; ++i) {
    volumes[home.value - 1].free_bytes -= 3 * kGiB;
    ASSERT_EQ(Choose(Request(Placement::kColocate, i, 99), volumes), home) << "file " << i;
  }
  volumes[home.value - 1].free_bytes = 0;
  EXPECT_NE(Choose(Request(Placement::kColocate, 1001, 99), volumes), home);
}

TEST(Colocate, SpreadsDirectories) {
  const auto count = Distribute(Placement::kColocate,
                                {MakeVolume(1, 512), MakeVolume(2, 512), MakeVolume(3, 512)});
  for (const auto& [volume, files] : count) EXPECT_NEAR(files, kFiles / 3, 0.03 * kFiles / 3);
}

TEST(Pin, TakesTheNamedVolumeAlsoWithWeightZero) {
  std::vector<VolumeInfo> volumes{MakeVolume(1, 4000), MakeVolume(2, 1)};
  volumes[1].weight = 0;
  auto request = Request(Placement::kPin);
  request.policy.pin_volume = "v2";
  EXPECT_EQ(Choose(request, volumes), VolumeId(2));
  for (uint64_t i = 1; i <= 100; ++i)
    EXPECT_EQ(Choose(Request(Placement::kSpread, i), volumes), VolumeId(1));
}

// Volumes that nothing may be placed on, under every placement, and what the error says of them.
struct Unfit {
  const char* name;
  void (*spoil)(VolumeInfo&);
  const char* reason;
};

const Unfit kUnfit[] = {
    {"ReadOnly", [](VolumeInfo& v) { v.state = VolumeState::kReadOnly; }, "v9: read-only"},
    {"Draining", [](VolumeInfo& v) { v.state = VolumeState::kDraining; }, "v9: draining"},
    {"Offline",
     [](VolumeInfo& v) {
       v.state = VolumeState::kOffline;
       v.problem = "no identity file";
     },
     "v9: offline (no identity file)"},
    {"WrongLabel", [](VolumeInfo& v) { v.labels["tier"] = "hdd"; }, "v9: lacks the label tier=ssd"},
    {"NoLabel", [](VolumeInfo& v) { v.labels.clear(); }, "v9: lacks the label tier=ssd"},
    {"Unreported", [](VolumeInfo& v) { v.total_bytes = v.free_bytes = 0; },
     "v9: has not reported its space yet"},
    {"Full", [](VolumeInfo& v) { v.free_bytes = 0; }, "v9: 0 B free, of which 0 B are reserved"},
    {"BelowReserve", [](VolumeInfo& v) { v.reserve_bytes = v.free_bytes; },
     "v9: 4.0 TiB free, of which 4.0 TiB are reserved, for a file of 1.0 GiB"},
    {"TooSmallForTheFile",
     [](VolumeInfo& v) {
       v.free_bytes = 2 * kGiB;
       v.reserve_bytes = 2 * kGiB - 1000;
     },
     "for a file of 1.0 GiB"},
};

class UnfitVolume : public ::testing::TestWithParam<Unfit> {};

TEST_P(UnfitVolume, IsNeverChosenAndIsNamedWithItsReason) {
  VolumeInfo unfit = MakeVolume(9, 4096);  // by far the most attractive
  unfit.weight = 1000;
  unfit.labels["tier"] = "ssd";
  GetParam().spoil(unfit);
  VolumeInfo fit = MakeVolume(1, 16);
  fit.node = NodeId(2);
  fit.labels["tier"] = "ssd";

  for (const Placement placement :
       {Placement::kSpread, Placement::kMostFree, Placement::kLocalFirst, Placement::kColocate,
        Placement::kPin}) {
    for (uint64_t i = 1; i <= 500; ++i) {
      PlacementRequest request = Request(placement, i, i);
      request.policy.labels["tier"] = "ssd";
      request.size_bytes = kGiB;
      if (placement != Placement::kPin) {
        ASSERT_EQ(Choose(request, {unfit, fit}), fit.id);
      }
      request.policy.pin_volume = "v9";
      const auto chosen = ChooseVolume(request, std::vector{unfit});
      ASSERT_FALSE(chosen);
      ASSERT_EQ(chosen.error(), Code::kNoSpace);
      ASSERT_THAT(chosen.error().message(), HasSubstr(GetParam().reason));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, UnfitVolume, ::testing::ValuesIn(kUnfit),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Copies, GoWhereLabelsAndWeightSaySoWhateverTheState) {
  Policy policy;
  policy.labels["tier"] = "ssd";
  VolumeInfo volume = MakeVolume(1, 10);
  EXPECT_TRUE(SuitsPolicy({}, volume));
  EXPECT_THAT(SuitsPolicy(policy, volume).error().message(), HasSubstr("v1: lacks a label"));
  volume.labels["tier"] = "hdd";
  EXPECT_FALSE(SuitsPolicy(policy, volume));
  volume.labels["tier"] = "ssd";
  for (const VolumeState state : {VolumeState::kOnline, VolumeState::kReadOnly,
                                  VolumeState::kDraining, VolumeState::kOffline}) {
    volume.state = state;
    EXPECT_TRUE(SuitsPolicy(policy, volume));
    EXPECT_EQ(CanTakeCopy(volume, kGiB).has_value(), state == VolumeState::kOnline);
  }
  volume.state = VolumeState::kOnline;
  for (const double weight : {0.0, -1.0, std::nan("")}) {
    volume.weight = weight;
    EXPECT_THAT(SuitsPolicy(policy, volume).error().message(), HasSubstr("weight"));
    EXPECT_TRUE(CanTakeCopy(volume, kGiB));
  }
  volume.reserve_bytes = 10 * kGiB;
  EXPECT_EQ(CanTakeCopy(volume, 0).error().code(), Code::kNoSpace);
  volume.reserve_bytes = 9 * kGiB;
  EXPECT_TRUE(CanTakeCopy(volume, kGiB));
  EXPECT_EQ(CanTakeCopy(volume, kGiB + 1).error().code(), Code::kNoSpace);
}

TEST(NoSpace, NamesEveryVolumeAndNoOther) {
  std::vector<VolumeInfo> volumes{MakeVolume(1, 0), MakeVolume(2, 512), MakeVolume(3, 512)};
  volumes[1].weight = 0;
  auto request = Request(Placement::kSpread);
  request.size_bytes = 1000 * kGiB;
  const auto chosen = ChooseVolume(request, volumes);
  ASSERT_FALSE(chosen);
  EXPECT_EQ(chosen.error(), Code::kNoSpace);
  EXPECT_THAT(chosen.error().message(),
              AllOf(HasSubstr("v1: 0 B free"), HasSubstr("v2: its weight is 0"),
                    HasSubstr("v3: 512.0 GiB free"), Not(HasSubstr("\n"))));

  request = Request(Placement::kPin);
  request.policy.pin_volume = "gone";
  EXPECT_THAT(ChooseVolume(request, volumes).error().message(),
              HasSubstr("v2: not the pinned volume gone"));
  EXPECT_EQ(ChooseVolume(request, {}).error(), Code::kNoSpace);
}

}  // namespace
}  // namespace pxfs::meta
