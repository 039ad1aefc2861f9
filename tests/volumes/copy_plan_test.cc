// The rules of docs/replication.md, as pure functions.
#include "volumes/copy_plan.h"

#include <gtest/gtest.h>

#include "volumes/copy_throttle.h"

namespace pxfs::volumes {
namespace {

using meta::Replica;
using meta::ReplicaState;
using meta::VolumeState;

class CopyPlanTest : public testing::Test {
 protected:
  CopyPlanTest() {
    for (uint64_t id = 1; id <= 4; ++id) {
      meta::VolumeInfo volume;
      volume.id = VolumeId(id);
      volume.name = "v" + std::to_string(id);
      volume.total_bytes = 1000;
      volume.free_bytes = 100 * id;
      volumes_.push_back(volume);
    }
    file_.attr.mode = S_IFREG | 0644;
    file_.attr.size_bytes = 50;
    AddReplica(1);
    file_.replicas[0].primary = true;
  }
  void AddReplica(uint64_t volume, ReplicaState state = ReplicaState::kCurrent) {
    Replica replica;
    replica.volume = VolumeId(volume);
    replica.object_generation = 1;
    replica.state = state;
    file_.replicas.push_back(replica);
  }
  meta::VolumeInfo& volume(uint64_t id) { return volumes_[id - 1]; }
  CopyPlan Plan(VolumeId leave = {}) {
    return PlanCopies(
        {file_, policy_, volumes_, [this](VolumeId) { return may_return_; }, hot_, leave});
  }
  // What is to be done, in a word or two.
  std::string Step(VolumeId leave = {}) {
    const CopyPlan plan = Plan(leave);
    if (plan.settled) return "settled";
    if (plan.copy_to) return "copy to " + std::to_string(plan.copy_to->value);
    if (plan.drop) return "drop " + std::to_string(plan.drop->volume.value);
    return plan.obstacle;
  }

  std::vector<meta::VolumeInfo> volumes_;
  meta::Location file_;
  meta::Policy policy_;
  std::set<VolumeId> hot_;
  bool may_return_ = false;
};

TEST_F(CopyPlanTest, CopiesGoWhereThereIsMostRoom) {
  EXPECT_EQ(Step(), "settled");
  policy_.copies = 2;
  EXPECT_EQ(Step(), "copy to 4");
  volume(4).state = VolumeState::kReadOnly;
  EXPECT_EQ(Step(), "copy to 3");
  volume(3).reserve_bytes = 260;
  EXPECT_EQ(Step(), "copy to 2");
  volume(2).weight = 0;
  EXPECT_EQ(Step(), "no further volume can take a copy of it");
  policy_.labels["tier"] = "ssd";
  volume(2).weight = 1;
  EXPECT_EQ(Step(), "no further volume can take a copy of it");
  volume(2).labels["tier"] = "ssd";
  EXPECT_EQ(Step(), "copy to 2");
}

TEST_F(CopyPlanTest, SurplusGoesButNotThePrimaryNorWhatIsPinned) {
  AddReplica(2);
  AddReplica(3);
  EXPECT_EQ(Step(), "drop 3");
  file_.wishes.volumes = {VolumeId(3)};
  EXPECT_EQ(Step(), "drop 2");
  file_.wishes.copies = 3;
  EXPECT_EQ(Step(), "settled");
  policy_.copies = 3;
  file_.wishes = {};
  EXPECT_EQ(Step(), "settled");
}

TEST_F(CopyPlanTest, APinIsMetWhateverTheNumberOfCopies) {
  file_.wishes.volumes = {VolumeId(2)};
  EXPECT_EQ(Step(), "copy to 2");
  volume(2).weight = 0;  // kept for what is pinned to it
  EXPECT_EQ(Step(), "copy to 2");
  volume(2).free_bytes = 10;
  EXPECT_EQ(Step(), "volume v2, to which it is pinned, cannot take it");
  file_.wishes.volumes = {VolumeId(9)};  // removed since
  EXPECT_EQ(Step(), "settled");
}

TEST_F(CopyPlanTest, CopiesForHeatComeLastAndCountTowardsTheNumber) {
  hot_ = {VolumeId(2)};
  EXPECT_EQ(Step(), "copy to 2");
  AddReplica(2);
  EXPECT_EQ(Step(), "settled");
  policy_.copies = 2;
  EXPECT_EQ(Step(), "settled");
  policy_.copies = 3;
  EXPECT_EQ(Step(), "copy to 4");
  policy_.copies = 1;
  hot_.clear();  // it has cooled
  EXPECT_EQ(Step(), "drop 2");
}

TEST_F(CopyPlanTest, WhatIsAwayCountsAsLongAsItMayReturn) {
  policy_.copies = 2;
  AddReplica(2);
  volume(2).state = VolumeState::kOffline;
  may_return_ = true;
  EXPECT_EQ(Step(), "settled");
  EXPECT_EQ(Plan().away, std::set<VolumeId>{VolumeId(2)});
  may_return_ = false;
  EXPECT_EQ(Step(), "copy to 4");
  // But it is no reason to drop what can be reached.
  AddReplica(4);
  may_return_ = true;
  EXPECT_EQ(Step(), "settled");
  // It is back: one too many.
  volume(2).state = VolumeState::kOnline;
  EXPECT_EQ(Step(), "drop 4");
}

TEST_F(CopyPlanTest, AStaleCopyGoesOnlyWhileACurrentOneCanBeReached) {
  AddReplica(2, ReplicaState::kStale);
  EXPECT_EQ(Step(), "drop 2");
  volume(1).state = VolumeState::kOffline;
  EXPECT_EQ(Step(), "no copy of it can be reached");
  volume(1).state = VolumeState::kOnline;
  volume(2).state = VolumeState::kOffline;
  EXPECT_EQ(Step(), "settled");
}

TEST_F(CopyPlanTest, AVolumeIsLeftOnceThereIsACopyElsewhere) {
  volume(1).state = VolumeState::kDraining;
  EXPECT_EQ(Step(), "copy to 4");
  AddReplica(4);
  EXPECT_EQ(Step(), "drop 1");
  volume(1).state = VolumeState::kOnline;
  EXPECT_EQ(Step(VolumeId(1)), "drop 1");
  file_.replicas.pop_back();
  // Many that leave are spread.
  std::set<std::string> steps;
  for (uint64_t inode = 1; inode < 100; ++inode) {
    file_.attr.inode = InodeId(inode);
    steps.insert(Step(VolumeId(1)));
  }
  EXPECT_EQ(steps, (std::set<std::string>{"copy to 2", "copy to 3", "copy to 4"}));
}

TEST(CopyThrottleTest, NobodyIsFasterThanTheSlowestOfTheLimits) {
  using std::chrono::seconds;
  CopyThrottle throttle;
  const VolumeId a(1), b(2), c(3);
  EXPECT_EQ(throttle.Spend(a, b, 1 << 30).count(), 0);
  throttle.SetRates(0, {{b, 100}});
  auto now = CopyThrottle::Clock::now() + seconds(1);
  EXPECT_EQ(throttle.Spend(a, c, 1 << 30, now).count(), 0);
  // A burst of a tenth of a second is allowed; the rest has to be waited for.
  EXPECT_EQ(throttle.Spend(a, b, 210, now), seconds(2));
  now += seconds(2);
  EXPECT_EQ(throttle.Spend(b, c, 100, now), seconds(1));
  now += seconds(1);
  throttle.SetRates(10, {{b, 100}});
  now += seconds(1);
  EXPECT_EQ(throttle.Spend(a, c, 11, now), seconds(1));
  throttle.SetRates(0, {});
  EXPECT_EQ(throttle.Spend(a, b, 1 << 30, now).count(), 0);
}

}  // namespace
}  // namespace pxfs::volumes
