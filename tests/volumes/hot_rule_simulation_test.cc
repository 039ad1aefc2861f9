// The rule for hot copies on synthetic and recorded traces, with the real heat table, rule and
// choice of replicas; only disks and clients are played. It must copy what becomes hot soon, copy
// little that nobody reads then, and never do and undo the same thing.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/support/long_run.h"
#include "tests/support/temporary_directory.h"
#include "volumes/heat_table.h"
#include "volumes/hot_rule.h"
#include "volumes/volume_load.h"

namespace pxfs::volumes {
namespace {

using test::LongRun;
constexpr double kMiB = 1 << 20, kGiB = 1 << 30;

struct Open {
  double at_seconds = 0;
  size_t file = 0;
};

// What a run came to.
struct Outcome {
  size_t copies = 0, drops = 0, flaps = 0;
  double copied_bytes = 0, unread_bytes = 0;
  double worst_delay_seconds = 0;  // from being hot enough for a copy until it is there
  double spread = 0;               // reads of files with copies that did not use the primary
  size_t most_hot_files = 0;
};

// The node of the simulation: four disks of 100 GiB that read 400 MiB a second, one copy at a time.
class Node {
 public:
  static constexpr uint64_t kVolumes = 4;
  static constexpr double kVolumeBytes = 100 * kGiB, kRate = 400 * kMiB;
  // Reading one and writing the other, and reading that back.
  static constexpr double kCopySeconds(double bytes) { return 2 * bytes / kRate; }

  explicit Node(const std::vector<double>& sizes) : sizes_(sizes), files_(sizes.size()) {
    auto table = HeatTable::Open(scratch_ / "heat", {.slots = 8192});
    EXPECT_TRUE(table) << table.error().message();
    heat_ = std::move(*table);
    for (size_t i = 0; i < sizes.size(); ++i) {
      const VolumeId volume(1 + i % kVolumes);
      files_[i].replicas = {volume};
      used_[volume] += sizes[i];
    }
  }

  Outcome Run(const std::vector<Open>& trace, double seconds) {
    size_t next = 0;
    for (double tick = 1; tick <= seconds; ++tick) {
      for (; next < trace.size() && trace[next].at_seconds < tick; ++next) {
        AdvanceTo(trace[next].at_seconds);
        Read(trace[next].file);
      }
      AdvanceTo(tick);
      Decide();
    }
    // Those that have not been there for long may still be read.
    for (File& file : files_)
      for (auto& [volume, copy] : file.copies)
        if (seconds - copy.ordered >= CoolDown()) NoteEnd(file, copy);
    Outcome outcome = outcome_;
    outcome.spread = reads_of_copied_ ? static_cast<double>(reads_elsewhere_) /
                                            static_cast<double>(reads_of_copied_)
                                      : 0;
    return outcome;
  }

 private:
  struct Copy {
    double ordered = 0;
    bool there = false;
    uint64_t reads = 0;
  };
  struct File {
    std::vector<VolumeId> replicas;  // readable ones, the primary first
    std::map<VolumeId, Copy> copies;
    std::optional<double> hot_since;  // hot enough for one more
    double dropped = -1e9;
  };
  struct Ending {
    double at;
    VolumeId volume;
    uint64_t bytes;
    bool operator>(const Ending& other) const { return at > other.at; }
  };

  static InodeId InodeOf(size_t file) { return InodeId(1000 + file); }

  void AdvanceTo(double seconds) {
    while (!reads_.empty() && reads_.top().at <= seconds) {
      load_.End(reads_.top().volume, reads_.top().bytes);
      reads_.pop();
    }
    while (!orders_.empty()) {
      const auto [index, volume] = orders_.front();
      File& file = files_[index];
      const auto copy = file.copies.find(volume);
      if (copy == file.copies.end()) {  // not wanted any more
        orders_.pop_front();
        continue;
      }
      const double begin = std::max(copier_free_, copy->second.ordered);
      const double end = begin + kCopySeconds(sizes_[index]);
      if (end > seconds) break;
      orders_.pop_front();
      copier_free_ = end;
      outcome_.worst_delay_seconds =
          std::max(outcome_.worst_delay_seconds, end - copy->second.ordered);
      copy->second.there = true;
      file.replicas.push_back(volume);
      outcome_.copied_bytes += sizes_[index];
      ++outcome_.copies;
      if (file.hot_since)
        outcome_.worst_delay_seconds =
            std::max(outcome_.worst_delay_seconds, end - *file.hot_since);
      file.hot_since.reset();
    }
    now_ = seconds;
    heat_->SetTime(static_cast<uint32_t>(1'000'000 + seconds));
  }

  void Read(size_t index) {
    File& file = files_[index];
    const auto bytes = static_cast<uint64_t>(sizes_[index]);
    heat_->CountOpen(InodeOf(index), bytes);
    const VolumeId volume = load_.Order(file.replicas).front();
    load_.Begin(volume, bytes);
    reads_.push({now_ + sizes_[index] / kRate, volume, bytes});
    if (file.replicas.size() > 1) {
      ++reads_of_copied_;
      if (volume != file.replicas.front()) ++reads_elsewhere_;
    }
    if (const auto copy = file.copies.find(volume); copy != file.copies.end()) ++copy->second.reads;
    const auto copies = static_cast<uint32_t>(1 + file.copies.size());
    const Heat heat = heat_->Get(InodeOf(index));
    if (!file.hot_since && copies < kVolumes && heat.opens >= rule_.MakeAt(copies) &&
        heat.bytes >= rule_.options().bytes_per_copy * copies)
      file.hot_since = now_;
  }

  double CoolDown() const {
    return std::chrono::duration<double>(rule_.options().cool_down).count();
  }

  void NoteEnd(const File& file, const Copy& copy) {
    if (copy.there && copy.reads == 0)
      outcome_.unread_bytes += sizes_[static_cast<size_t>(&file - files_.data())];
  }

  void Decide() {
    std::set<size_t> candidates = hot_files_;
    for (const Heat& heat : heat_->Hottest(4096)) {
      if (heat.opens >= rule_.options().opens_per_copy)
        candidates.insert(heat.inode.value - 1000);
      else
        files_[heat.inode.value - 1000].hot_since.reset();
    }
    std::vector<HotFile> files;
    for (const size_t index : candidates) {
      HotFile file;
      file.inode = InodeOf(index);
      file.size_bytes = static_cast<uint64_t>(sizes_[index]);
      file.generation = 1;
      const Heat heat = heat_->Get(file.inode);
      file.demand = {{NodeId(), heat.opens, heat.bytes}};
      file.replicas = files_[index].replicas;
      for (const auto& [volume, copy] : files_[index].copies) file.hot.push_back(volume);
      // A moment between two looks, and over again, is not meant.
      const auto copies = static_cast<uint32_t>(1 + file.hot.size());
      if ((heat.opens < rule_.MakeAt(copies) ||
           heat.bytes < rule_.options().bytes_per_copy * copies) &&
          file.hot.size() + 1 == file.replicas.size())
        files_[index].hot_since.reset();
      for (uint64_t id = 1; id <= kVolumes; ++id) file.suitable.push_back(VolumeId(id));
      files.push_back(std::move(file));
    }
    std::vector<HotVolume> volumes;
    for (uint64_t id = 1; id <= kVolumes; ++id)
      volumes.push_back({VolumeId(id), static_cast<uint64_t>(kVolumeBytes),
                         static_cast<uint64_t>(kVolumeBytes - used_[VolumeId(id)])});
    const HotRule::Time now{std::chrono::milliseconds(static_cast<int64_t>(now_ * 1000))};
    for (const HotDecision& decision : rule_.Decide(now, files, volumes)) Obey(decision);
    outcome_.most_hot_files = std::max(outcome_.most_hot_files, hot_files_.size());
  }

  void Obey(const HotDecision& decision) {
    const size_t index = decision.inode.value - 1000;
    File& file = files_[index];
    if (decision.make) {
      if (now_ - file.dropped < CoolDown()) ++outcome_.flaps;
      file.copies[decision.volume].ordered = now_;
      used_[decision.volume] += sizes_[index];
      orders_.push_back({index, decision.volume});
      hot_files_.insert(index);
      return;
    }
    NoteEnd(file, file.copies.at(decision.volume));
    file.copies.erase(decision.volume);
    std::erase(file.replicas, decision.volume);
    used_[decision.volume] -= sizes_[index];
    file.dropped = now_;
    ++outcome_.drops;
    if (file.copies.empty()) hot_files_.erase(index);
  }

  const std::vector<double>& sizes_;
  test::TemporaryDirectory scratch_;
  std::unique_ptr<HeatTable> heat_;
  HotRule rule_{HotRuleOptions{}};
  double now_ = 0;
  VolumeLoad load_{
      nullptr, [this] {
        return VolumeLoad::Time(std::chrono::microseconds(static_cast<int64_t>(now_ * 1e6)));
      }};
  std::vector<File> files_;
  std::map<VolumeId, double> used_;
  std::set<size_t> hot_files_;  // with hot copies
  std::deque<std::pair<size_t, VolumeId>> orders_;
  double copier_free_ = 0;
  std::priority_queue<Ending, std::vector<Ending>, std::greater<>> reads_;
  uint64_t reads_of_copied_ = 0, reads_elsewhere_ = 0;
  Outcome outcome_;
};

class Simulation : public testing::Test {
 protected:
  // Sizes spread evenly over the orders of magnitude.
  std::vector<double> Sizes(size_t count, double least = kMiB, double most = 64 * kMiB) {
    std::uniform_real_distribution<double> exponent(std::log(least), std::log(most));
    std::vector<double> sizes(count);
    for (double& size : sizes) size = std::exp(exponent(random_));
    return sizes;
  }

  // Opens that come independently of each other, `rate(t)` a second, of files by Zipf's law;
  // `shift(t)`: which file is the first.
  std::vector<Open> Zipf(size_t files, double seconds, double most, double exponent,
                         const std::function<double(double)>& rate = nullptr,
                         const std::function<size_t(double)>& shift = nullptr) {
    std::vector<double> weights(files);
    for (size_t i = 0; i < files; ++i) weights[i] = std::pow(static_cast<double>(i + 1), -exponent);
    std::discrete_distribution<size_t> rank(weights.begin(), weights.end());
    // Rank says nothing about size or volume.
    std::vector<size_t> order(files);
    for (size_t i = 0; i < files; ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random_);
    std::exponential_distribution<double> gap(most);
    std::uniform_real_distribution<double> chance(0, 1);
    std::vector<Open> opens;
    for (double t = gap(random_); t < seconds; t += gap(random_)) {
      if (rate && chance(random_) * most > rate(t)) continue;
      opens.push_back({t, order[(rank(random_) + (shift ? shift(t) : 0)) % files]});
    }
    return opens;
  }

  static std::vector<Open> Merge(std::vector<Open> a, const std::vector<Open>& b) {
    a.insert(a.end(), b.begin(), b.end());
    std::stable_sort(a.begin(), a.end(),
                     [](const Open& x, const Open& y) { return x.at_seconds < y.at_seconds; });
    return a;
  }

  static Outcome Run(const std::vector<double>& sizes, const std::vector<Open>& trace,
                     double seconds) {
    Node node(sizes);
    const Outcome outcome = node.Run(trace, seconds);
    std::printf(
        "%s: %zu opens, %zu copies of %.1f GiB, %.2f %% unread, %zu drops, %zu flaps, "
        "worst delay %.1f s, %.0f %% of reads of copied files elsewhere, %zu hot files\n",
        testing::UnitTest::GetInstance()->current_test_info()->name(), trace.size(), outcome.copies,
        outcome.copied_bytes / kGiB,
        outcome.copied_bytes > 0 ? 100 * outcome.unread_bytes / outcome.copied_bytes : 0.0,
        outcome.drops, outcome.flaps, outcome.worst_delay_seconds, 100 * outcome.spread,
        outcome.most_hot_files);
    return outcome;
  }

  static void ExpectGood(const Outcome& outcome) {
    EXPECT_EQ(outcome.flaps, 0u);
    EXPECT_LE(outcome.unread_bytes, 0.05 * outcome.copied_bytes);
    EXPECT_LE(outcome.worst_delay_seconds, 10);
  }

  const double hours_ = LongRun() ? 12 : 1;
  std::mt19937_64 random_{20260815};
};

TEST_F(Simulation, Zipf) {
  const auto sizes = Sizes(10'000);
  const double seconds = 3600 * hours_;
  const Outcome outcome = Run(sizes, Zipf(sizes.size(), seconds, 5, 1.0), seconds);
  ExpectGood(outcome);
  EXPECT_GT(outcome.copies, 10u);
  EXPECT_GT(outcome.spread, 0.5);
}

// Out of nothing, one file after the other is wanted by everybody for two minutes.
TEST_F(Simulation, FlashCrowd) {
  const auto sizes = Sizes(5'000);
  const double seconds = 3600 * hours_;
  std::vector<Open> crowds;
  std::uniform_int_distribution<size_t> any(0, sizes.size() - 1);
  for (double begin = 300; begin + 120 < seconds; begin += 900) {
    const size_t file = any(random_);
    for (double t = begin; t < begin + 120; t += 0.1) crowds.push_back({t, file});
  }
  const auto trace = Merge(Zipf(sizes.size(), seconds, 2, 0.6), crowds);
  const Outcome outcome = Run(sizes, trace, seconds);
  ExpectGood(outcome);
  EXPECT_GT(outcome.copies, 10u);
  EXPECT_GT(outcome.drops, 5u);
}

// Everything is read in order, over and over, while some files are used as always: what is scanned
// is not hot.
TEST_F(Simulation, Scan) {
  const auto sizes = Sizes(5'000);
  const double seconds = 1800 * hours_;
  std::vector<Open> scan;
  double t = 10;
  for (size_t file = 0; t < seconds; file = (file + 1) % sizes.size()) {
    scan.push_back({t, file});
    t += sizes[file] / Node::kRate;
  }
  const Outcome alone = Run(sizes, scan, seconds / 2);
  EXPECT_EQ(alone.copies, 0u);
  const Outcome outcome = Run(sizes, Merge(scan, Zipf(sizes.size(), seconds, 2, 1.2)), seconds);
  ExpectGood(outcome);
  EXPECT_LT(outcome.most_hot_files, 100u);
}

// Days of two hours, on each of which other files are wanted.
TEST_F(Simulation, Diurnal) {
  const auto sizes = Sizes(5'000);
  const double day = 7200, seconds = std::max(2 * day, 3600 * hours_);
  const auto rate = [&](double t) { return 4 * (1 - std::cos(2 * M_PI * t / day)) / 2; };
  const auto shift = [&](double t) { return static_cast<size_t>(t / day) * 1000; };
  const Outcome outcome = Run(sizes, Zipf(sizes.size(), seconds, 4, 1.0, rate, shift), seconds);
  ExpectGood(outcome);
  EXPECT_GT(outcome.copies, 10u);
  EXPECT_GT(outcome.drops, 10u);
}

// A trace that was recorded (strace of openat and execve): a compiler over twelve files, two at a
// time. Its files' sizes, then its opens: milliseconds since the one before, and the file.
TEST_F(Simulation, ARecordedBuild) {
  const char* source = std::getenv("PXFS_SOURCE");
  ASSERT_NE(source, nullptr);
  std::ifstream in(std::string(source) + "/tests/volumes/traces/build.txt");
  std::string word;
  size_t files = 0, opens = 0;
  in >> word >> files >> word >> opens;
  std::vector<double> sizes(files);
  for (double& size : sizes) in >> size;
  std::vector<Open> trace(opens);
  double at_ms = 0;
  for (Open& open : trace) {
    double since = 0;
    in >> since >> open.file;
    open.at_seconds = (at_ms += since) / 1000;
  }
  ASSERT_TRUE(in);
  const Outcome outcome = Run(sizes, trace, 1800);
  ExpectGood(outcome);
  EXPECT_GT(outcome.copies, 3u);
}

}  // namespace
}  // namespace pxfs::volumes
