#include "volumes/hot_rule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>

namespace pxfs::volumes {
namespace {

using namespace std::chrono_literals;
constexpr uint64_t kMiB = 1 << 20;

// Some volumes and files, and a rule that they obey: copies are there as soon as they are decided
// on.
class HotRuleTest : public testing::Test {
 protected:
  void SetUp() override {
    for (uint64_t id = 1; id <= 3; ++id)
      volumes_.push_back({VolumeId(id), 1000 * kMiB, 900 * kMiB});
  }

  HotFile& Add(uint64_t inode, double opens, uint64_t size = 10 * kMiB) {
    HotFile file;
    file.inode = InodeId(inode);
    file.size_bytes = size;
    file.generation = 1;
    file.replicas = {VolumeId(1)};
    for (const HotVolume& volume : volumes_) file.suitable.push_back(volume.id);
    files_.push_back(file);
    SetHeat(files_.back(), opens);
    return files_.back();
  }
  static void SetHeat(HotFile& file, double opens) {
    file.demand = {{NodeId(), opens, opens * static_cast<double>(file.size_bytes)}};
  }
  std::vector<HotDecision> Decide() {
    const auto decisions = rule_.Decide(now_, files_, volumes_);
    for (const HotDecision& decision : decisions) {
      auto file = std::find_if(files_.begin(), files_.end(),
                               [&](const HotFile& f) { return f.inode == decision.inode; });
      if (decision.make) {
        EXPECT_EQ(std::count(file->replicas.begin(), file->replicas.end(), decision.volume), 0);
        file->replicas.push_back(decision.volume);
        file->hot.push_back(decision.volume);
      } else {
        EXPECT_EQ(std::erase(file->replicas, decision.volume), 1u);
        EXPECT_EQ(std::erase(file->hot, decision.volume), 1u);
      }
    }
    return decisions;
  }
  void Pass(std::chrono::milliseconds time) { now_ += time; }

  HotRule::Time now_{1000s};
  std::vector<HotVolume> volumes_;
  std::vector<HotFile> files_;
  HotRule rule_{HotRuleOptions{}};
};

TEST_F(HotRuleTest, CopiesFollowHeat) {
  for (const auto& [opens, copies] :
       {std::pair{0.5, 1}, {2.9, 1}, {3.0, 2}, {5.9, 2}, {6.0, 3}, {1000.0, 3}}) {
    files_.clear();
    rule_.Decide(now_, files_, volumes_);
    Add(7, opens);
    Decide();
    EXPECT_EQ(files_[0].replicas.size(), static_cast<size_t>(copies)) << opens << " opens";
    EXPECT_TRUE(Decide().empty());
  }
}

TEST_F(HotRuleTest, ManyOpensOfLittleAreNothing) {
  HotFile& file = Add(7, 100);
  file.demand[0].bytes = 1000;
  EXPECT_TRUE(Decide().empty());
}

TEST_F(HotRuleTest, DemandOfAllNodesCounts) {
  HotFile& file = Add(7, 2);
  file.demand.push_back({NodeId(2), 1.5, 1e8});
  EXPECT_EQ(Decide().size(), 1u);
}

TEST_F(HotRuleTest, CopiesGoAfterTheCoolDownAndNotBefore) {
  Add(7, 8);
  Decide();
  ASSERT_EQ(files_[0].replicas.size(), 3u);
  // Enough for two, by the lower limit.
  SetHeat(files_[0], 1);
  for (auto passed = 0s; passed < 600s; passed += 10s) {
    EXPECT_TRUE(Decide().empty()) << passed.count();
    Pass(10s);
  }
  ASSERT_EQ(Decide().size(), 1u);
  EXPECT_EQ(files_[0].replicas.size(), 2u);
  SetHeat(files_[0], 0.7);
  Pass(599s);
  EXPECT_TRUE(Decide().empty());
  // A moment of heat begins the time anew, and brings no copy back.
  SetHeat(files_[0], 0.8);
  EXPECT_TRUE(Decide().empty());
  SetHeat(files_[0], 0);
  Pass(599s);
  EXPECT_TRUE(Decide().empty());
  Pass(1s);
  EXPECT_EQ(Decide().size(), 1u);
  EXPECT_EQ(files_[0].replicas, std::vector{VolumeId(1)});
}

TEST_F(HotRuleTest, WhatHasJustCooledMustBeHotterToComeBack) {
  Add(7, 4);
  Decide();
  SetHeat(files_[0], 0);
  Decide();
  Pass(600s);
  ASSERT_EQ(Decide().size(), 1u);
  SetHeat(files_[0], 4);
  EXPECT_TRUE(Decide().empty());
  SetHeat(files_[0], 6);
  EXPECT_EQ(Decide().size(), 1u);
  SetHeat(files_[0], 0);
  Decide();
  Pass(600s);
  ASSERT_EQ(Decide().size(), 1u);
  // Also where nobody spoke of it in between.
  const HotFile file = files_[0];
  files_.clear();
  Pass(300s);
  Decide();
  files_ = {file};
  SetHeat(files_[0], 4);
  EXPECT_TRUE(Decide().empty());
  Pass(300s);
  EXPECT_EQ(Decide().size(), 1u);
}

TEST_F(HotRuleTest, AfterARestartTheCoolDownBeginsAnew) {
  HotFile& file = Add(7, 0);
  file.replicas = {VolumeId(1), VolumeId(2), VolumeId(3)};
  file.hot = {VolumeId(2), VolumeId(3)};
  EXPECT_TRUE(Decide().empty());
  Pass(599s);
  EXPECT_TRUE(Decide().empty());
  Pass(1s);
  EXPECT_EQ(Decide().size(), 2u);
}

TEST_F(HotRuleTest, PoliciesLimit) {
  Add(1, 100).max_copies = 2;
  Add(2, 100).allowed = false;
  Add(3, 100).suitable = {VolumeId(1), VolumeId(3)};
  HotFile& copied = Add(4, 4);  // copies=2: further ones need more
  copied.replicas = {VolumeId(1), VolumeId(2)};
  Decide();
  EXPECT_EQ(files_[0].replicas.size(), 2u);
  EXPECT_EQ(files_[1].replicas.size(), 1u);
  EXPECT_EQ(files_[2].hot, std::vector{VolumeId(3)});
  EXPECT_TRUE(files_[3].hot.empty());
  // A change of policy holds at once.
  files_[0].max_copies = 1;
  files_[2].allowed = false;
  EXPECT_EQ(Decide().size(), 2u);
  EXPECT_EQ(files_[0].replicas.size(), 1u);
  EXPECT_EQ(files_[2].replicas.size(), 1u);
}

TEST_F(HotRuleTest, WritingEndsCopiesAndMoreOfItMakesThemWait) {
  Add(7, 8);
  Decide();
  ASSERT_EQ(files_[0].hot.size(), 2u);
  for (const auto wait : {4s, 8s, 16s}) {
    // The service has made them stale; the rule no longer wants them.
    ++files_[0].generation;
    files_[0].written = true;
    EXPECT_EQ(Decide().size(), 2u);
    Pass(100s);
    EXPECT_TRUE(Decide().empty());
    files_[0].written = false;
    ++files_[0].generation;
    EXPECT_TRUE(Decide().empty());
    Pass(wait - 1ms);
    EXPECT_TRUE(Decide().empty()) << wait.count();
    Pass(1ms);
    EXPECT_EQ(Decide().size(), 2u) << wait.count();
  }
}

TEST_F(HotRuleTest, ABudgetIsKeptAndTheHottestComeFirst) {
  // 200 MiB a volume.
  for (uint64_t inode = 1; inode <= 10; ++inode)
    Add(inode, 3 + static_cast<double>(inode) / 10, 100 * kMiB);
  Decide();
  for (const HotFile& file : files_)
    EXPECT_EQ(file.hot.size(), file.inode.value > 6 ? 1u : 0u) << file.inode.value;
  for (const HotFile& file : files_)
    if (!file.hot.empty()) {
      EXPECT_NE(file.hot[0], VolumeId(1));
    }
}

TEST_F(HotRuleTest, AFullVolumeGetsRidOfTheColdest) {
  for (uint64_t inode = 1; inode <= 6; ++inode) {
    HotFile& file = Add(inode, static_cast<double>(inode), 30 * kMiB);
    file.replicas = {VolumeId(1), VolumeId(2)};
    file.hot = {VolumeId(2)};
    file.suitable = {};
  }
  volumes_[1].headroom_bytes = 50 * kMiB;  // 95 %
  EXPECT_TRUE(Decide().empty());
  volumes_[1].headroom_bytes = 49 * kMiB;
  EXPECT_EQ(Decide().size(), 4u);  // down to 85 %
  for (const HotFile& file : files_)
    EXPECT_EQ(file.hot.size(), file.inode.value > 4 ? 1u : 0u) << file.inode.value;
  // They are gone, and do not come back until there is more room than that.
  volumes_[1].headroom_bytes = 169 * kMiB;
  for (HotFile& file : files_) file.suitable = {VolumeId(2)};
  EXPECT_TRUE(Decide().empty());
  volumes_[1].headroom_bytes = 180 * kMiB;
  const auto decisions = Decide();
  ASSERT_EQ(decisions.size(), 1u);
  EXPECT_EQ(decisions[0].inode, InodeId(4));
}

TEST_F(HotRuleTest, WhatIsOnAVolumeThatGoesIsWantedNoMore) {
  Add(1, 8);
  Decide();
  volumes_.pop_back();
  const auto decisions = Decide();
  ASSERT_EQ(decisions.size(), 1u);
  EXPECT_EQ(decisions[0].volume, VolumeId(3));
}

// However many more of its copies are needed still.
TEST_F(HotRuleTest, WhatIsOnAVolumeThatWasRemovedIsForgotten) {
  Add(1, 100);
  Decide();
  ASSERT_EQ(files_[0].hot.size(), 2u);
  const VolumeId first = files_[0].hot.front();
  std::erase_if(volumes_, [&](const HotVolume& volume) { return volume.id == first; });
  const auto decisions = Decide();
  ASSERT_EQ(decisions.size(), 1u);
  EXPECT_FALSE(decisions[0].make);
  EXPECT_EQ(decisions[0].volume, first);
}

TEST_F(HotRuleTest, AMuchHotterFileTakesTheRoomOfColderOnes) {
  volumes_.resize(2);
  for (uint64_t inode = 1; inode <= 4; ++inode)
    Add(inode, 3 + static_cast<double>(inode), 50 * kMiB);
  Decide();
  for (const HotFile& file : files_) ASSERT_EQ(file.hot.size(), 1u) << file.inode.value;
  // The budget is used up, and not by much colder ones.
  Add(5, 4 * 4 - 0.1, 80 * kMiB);
  EXPECT_TRUE(Decide().empty());
  SetHeat(files_[4], 4 * 5);
  const auto decisions = Decide();
  ASSERT_EQ(decisions.size(), 3u);
  for (size_t i = 0; i < files_.size(); ++i) EXPECT_EQ(files_[i].hot.size(), i < 2 ? 0u : 1u) << i;
  // Those that went do not take it back at once, and nobody takes turns.
  for (int second = 0; second < 100; ++second) {
    Pass(1s);
    EXPECT_TRUE(Decide().empty()) << second;
  }
}

// Whatever happens, what the rule says can be done and keeps within its limits.
TEST_F(HotRuleTest, AnyHistoryKeepsTheLimits) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  const HotRuleOptions& options = rule_.options();
  for (uint64_t id = 4; id <= 6; ++id) volumes_.push_back({VolumeId(id), 1000 * kMiB, 0});
  for (uint64_t inode = 1; inode <= 30; ++inode) Add(inode, 0, (1 + below(100)) * kMiB);
  // What is on the volumes besides.
  std::map<VolumeId, uint64_t> other;
  for (int step = 0; step < 3000; ++step) {
    Pass(std::chrono::milliseconds(below(step % 100 == 0 ? 700'000 : 3000)));
    for (HotVolume& volume : volumes_) {
      if (below(50) == 0) other[volume.id] = below(1000) * kMiB;
      uint64_t used = other[volume.id];
      for (const HotFile& file : files_)
        if (std::count(file.replicas.begin(), file.replicas.end(), volume.id) != 0)
          used += file.size_bytes;
      volume.headroom_bytes = volume.total_bytes - std::min(volume.total_bytes, used);
    }
    HotFile& file = files_[below(30)];
    switch (below(8)) {
      case 0:
        ++file.generation;
        file.written = below(2) == 0;
        break;
      case 1:
        file.allowed = !file.allowed;
        break;
      case 2:
        file.max_copies = below(5);
        break;
      case 3:
        std::swap(volumes_.front(), volumes_[below(6)]);
        file.suitable.clear();
        for (const HotVolume& volume : volumes_)
          if (below(4) != 0) file.suitable.push_back(volume.id);
        break;
      default:
        SetHeat(file, below(3) == 0 ? 0 : below(40));
    }
    const auto before = files_;
    std::set<std::pair<InodeId, VolumeId>> seen;
    for (const HotDecision& decision : Decide()) {
      EXPECT_TRUE(seen.insert({decision.inode, decision.volume}).second) << "step " << step;
      EXPECT_FALSE(decision.why.empty());
      const HotFile& was = before[decision.inode.value - 1];
      const HotFile& is = files_[decision.inode.value - 1];
      if (!decision.make) continue;
      EXPECT_TRUE(was.allowed && !was.written);
      EXPECT_EQ(std::count(was.suitable.begin(), was.suitable.end(), decision.volume), 1);
      if (was.max_copies != 0) {
        EXPECT_LE(is.replicas.size(), was.max_copies);
      }
      uint64_t hot = 0;
      for (const HotFile& any : files_)
        if (std::count(any.hot.begin(), any.hot.end(), decision.volume) != 0) hot += any.size_bytes;
      EXPECT_LE(static_cast<double>(hot), options.budget_share * 1000 * kMiB);
    }
    for (const HotFile& any : files_) {
      EXPECT_EQ(any.replicas.front(), VolumeId(1));  // the one that is no hot copy
      EXPECT_EQ(any.replicas.size(), any.hot.size() + 1);
    }
    if (HasFailure()) return;
  }
}

TEST_F(HotRuleTest, CopiesGoWhereLessIsWanted) {
  Add(1, 50).suitable = {VolumeId(1), VolumeId(2)};
  Add(2, 4);
  Decide();
  EXPECT_EQ(files_[0].hot, std::vector{VolumeId(2)});
  EXPECT_EQ(files_[1].hot, std::vector{VolumeId(3)});
}

}  // namespace
}  // namespace pxfs::volumes
