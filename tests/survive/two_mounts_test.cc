// Two mounts of one cluster that change the same file at the same time: each makes the other drop
// what it caches, and neither waits for the other to finish first.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "tests/support/long_run.h"
#include "tests/support/mounted_cluster.h"

namespace pxfs::test {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

// A mount that waits for the other gives up after this time (CacheRevoker::kPatience), so every
// round would take longer; without, a busy machine makes some do so, but not three of four.
constexpr microseconds kPatience(100'000);

int Rounds() { return LongRun() ? 3000 : 300; }

struct Side {
  std::string file;
  std::vector<microseconds> times;  // of each round
  Status outcome;
};

Status Round(const std::string& file, int round) {
  PXFS_ASSIGN(UniqueFd fd, OpenAt(AT_FDCWD, file, O_WRONLY));
  if (::pwrite(fd.get(), "x", 1, round % 100) != 1) return FailErrno(errno, "pwrite");
  if (::close(fd.release()) != 0) return FailErrno(errno, "close");
  if (::chmod(file.c_str(), round % 2 ? 0640 : 0644) != 0) return FailErrno(errno, "chmod");
  if (::truncate(file.c_str(), 100) != 0) return FailErrno(errno, "truncate");
  return {};
}

void WriteOnSide(Side& side) {
  for (int round = 0; round < Rounds() && side.outcome; ++round) {
    const auto before = Clock::now();
    side.outcome = Round(side.file, round);
    side.times.push_back(std::chrono::duration_cast<microseconds>(Clock::now() - before));
  }
}

class TwoMounts : public testing::TestWithParam<Shape> {};

TEST_P(TwoMounts, WriteOneFileWithoutWaitingForEachOther) {
  auto mounted =
      MountedCluster::Start({.shape = GetParam(), .options = "", .cluster = {.ext4_image = true}});
  ASSERT_TRUE(mounted) << mounted.error().message();
  auto other = (*mounted)->MountAgain("other");
  ASSERT_TRUE(other) << other.error().message();
  {
    auto fd = OpenAt(AT_FDCWD, (*mounted)->path() + "/file", O_WRONLY | O_CREAT, 0644);
    ASSERT_TRUE(fd) << fd.error().message();
  }
  Side sides[] = {{(*mounted)->path() + "/file", {}, {}}, {(*other)->path() + "/file", {}, {}}};
  std::thread first([&] { WriteOnSide(sides[0]); }), second([&] { WriteOnSide(sides[1]); });
  first.join();
  second.join();
  for (Side& side : sides) {
    EXPECT_STATUS(side.outcome);
    ASSERT_FALSE(side.times.empty());
    std::sort(side.times.begin(), side.times.end());
    const auto quarter = side.times[side.times.size() / 4];
    std::printf("%s: a quarter of the rounds under %.1f ms, the longest %.1f ms\n",
                ToString(GetParam()), static_cast<double>(quarter.count()) / 1000,
                static_cast<double>(side.times.back().count()) / 1000);
    EXPECT_LT(quarter, kPatience);
  }
  struct stat a, b;
  ASSERT_EQ(::stat(sides[0].file.c_str(), &a), 0);
  ASSERT_EQ(::stat(sides[1].file.c_str(), &b), 0);
  EXPECT_EQ(a.st_size, 100);
  EXPECT_EQ(b.st_size, 100);
  EXPECT_EQ(a.st_mode, b.st_mode);
  EXPECT_STATUS((*other)->Stop());
  EXPECT_STATUS((*mounted)->Stop());
}

// A mount that caches has lost its service and cannot notice it yet: until it has, its kernel shows
// what it had, so nobody is told that anything has changed.
TEST(RestartedService, AChangeIsNotOverBeforeEveryMountHasForgottenWhatItHad) {
  auto mounted = MountedCluster::Start(
      {.shape = Shape::kDaemon, .options = "", .cluster = {.ext4_image = true}});
  ASSERT_TRUE(mounted) << mounted.error().message();
  auto other = (*mounted)->MountAgain("other");
  ASSERT_TRUE(other) << other.error().message();
  const std::string here = (*mounted)->path() + "/name", there = (*other)->path() + "/name";
  // A directory: nothing of it comes later, as the release of a file does.
  ASSERT_EQ(::mkdir(here.c_str(), 0755), 0);
  struct stat st;
  ASSERT_EQ(::stat(there.c_str(), &st), 0);
  auto frozen = Process::Find((*other)->record().daemon_pid);
  ASSERT_TRUE(frozen) << frozen.error().message();
  frozen->Signal(SIGSTOP);
  ASSERT_STATUS((*mounted)->KillAndRestartDaemon());
  auto removal = std::async(std::launch::async, [&] { return ::rmdir(here.c_str()); });
  EXPECT_EQ(removal.wait_for(std::chrono::milliseconds(300)), std::future_status::timeout)
      << "it returned while the other mount may show the name";
  frozen->Signal(SIGCONT);
  EXPECT_EQ(removal.get(), 0);
  EXPECT_EQ(::stat(there.c_str(), &st), -1) << "a stale name";
  EXPECT_EQ(errno, ENOENT);

  // A mount that was killed altogether is not waited for.
  ASSERT_EQ(::mkdir(here.c_str(), 0755), 0);
  ASSERT_STATUS((*other)->Kill());
  ASSERT_STATUS((*mounted)->KillAndRestartDaemon());
  const auto before = Clock::now();
  EXPECT_EQ(::rmdir(here.c_str()), 0);
  EXPECT_LT(Clock::now() - before, std::chrono::seconds(8)) << "the grace is 10 s";
  EXPECT_STATUS((*mounted)->Stop());
}

INSTANTIATE_TEST_SUITE_P(Shapes, TwoMounts, testing::Values(Shape::kEmbedded, Shape::kDaemon),
                         [](const auto& info) { return std::string(ToString(info.param)); });

}  // namespace
}  // namespace pxfs::test
