// Random faults around copies: the process that copies is killed at any step of a copy, volumes
// vanish and return with what they had, or with what they had long before, disks become full in the
// middle of a copy, volumes are drained, objects go bad, and files are written, at once or slowly,
// renamed and removed meanwhile. After each round everything is put right again, and then every
// file is what the oracle says, in as many good copies as its policy asks for, and nothing is left
// behind.
//
// Each life of the service is a process of its own (copy_faults_life.h). 5 rounds, or 1000 in eight
// clusters at a time with PXFS_LONG=1; PXFS_TEST_SEED repeats a run.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <vector>

#include "meta/check.h"
#include "meta/leveldb_engine.h"
#include "tests/support/long_run.h"
#include "tests/support/loop_image.h"
#include "tests/support/process.h"
#include "tests/support/temporary_directory.h"
#include "tests/volumes/copy_faults_life.h"

namespace pxfs::volumes {
namespace {

// The wait status of a process that runs `body`.
pid_t Fork(const std::function<void()>& body) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  body();
  ::_exit(0);
}
int WaitFor(pid_t child) {
  int status = -1;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}
int InProcess(const std::function<void()>& body) { return WaitFor(Fork(body)); }

// No record of the store contradicts another.
void CheckRecords(const std::string& directory) {
  const auto engine = meta::OpenLevelDb(directory + "/meta/leveldb", false);
  if (!engine) ::_exit(1);
  const auto problems = meta::CheckStore(**engine);
  if (!problems) ::_exit(1);
  for (const std::string& problem : *problems) std::fprintf(stderr, "%s\n", problem.c_str());
  if (!problems->empty()) ::_exit(1);
}

// Each volume as it is now may be what it comes back with later.
Status KeepVolumes(const std::string& directory) {
  for (int i = 0; i < kFaultVolumes; ++i) {
    PXFS_TRY(test::RunOk({"rm", "-rf", FaultSnapshotOf(directory, i)}));
    PXFS_TRY(test::RunOk({"cp", "-a", FaultVolumeOf(directory, i), FaultSnapshotOf(directory, i)}));
  }
  return {};
}

// A cluster of its own. Ends the process where something is not as it must be.
void RunRounds(const std::string& directory, FaultOracle& oracle, unsigned seed, int rounds) {
  const auto expect = [&](bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "round %d with PXFS_TEST_SEED=%u: %s\n", oracle.rounds, seed, what);
    ::_exit(1);
  };
  expect(InProcess([&] { FaultLife(directory, oracle, /*create=*/true).Format(); }) == 0, "format");
  for (; oracle.rounds < rounds; ++oracle.rounds) {
    const unsigned round_seed = seed + static_cast<unsigned>(oracle.rounds);
    if (oracle.rounds % 3 == 0) expect(KeepVolumes(directory).has_value(), "keeping volumes");
    const int status = InProcess([&] { FaultLife(directory, oracle).Run(round_seed); });
    oracle.killed += WIFSIGNALED(status) ? 1 : 0;
    expect(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL), "its life");
    expect(InProcess([&] { FaultLife(directory, oracle).Verify(); }) == 0, "what is left of it");
    expect(InProcess([&] { CheckRecords(directory); }) == 0, "its records");
  }
}

struct Lane {
  std::string directory;
  std::vector<std::unique_ptr<test::LoopImage>> disks;
  FaultOracle* oracle = nullptr;
  pid_t process = 0;
};

TEST(CopyFaultsTest, WhateverHappensEveryFileIsRightInTheEnd) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root for disks of its own";
  const int lanes = test::LongRun() ? 8 : 1;
  const int rounds = test::LongRun() ? 125 : 5;
  const char* given = std::getenv("PXFS_TEST_SEED");
  const unsigned seed =
      given ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device()();
  SCOPED_TRACE("PXFS_TEST_SEED=" + std::to_string(seed));
  const test::TemporaryDirectory scratch;
  const size_t shared_bytes = sizeof(FaultOracle) * static_cast<size_t>(lanes);
  void* const shared =
      ::mmap(nullptr, shared_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  std::vector<Lane> all(static_cast<size_t>(lanes));
  for (size_t i = 0; i < all.size(); ++i) {
    Lane& lane = all[i];
    lane.oracle = new (static_cast<FaultOracle*>(shared) + i) FaultOracle();
    lane.directory = scratch / ("lane" + std::to_string(i));
    for (int disk = 0; disk < kFaultVolumes; ++disk) {
      const std::string mountpoint = FaultDiskOf(lane.directory, disk);
      const std::string image =
          scratch / ("image" + std::to_string(i) + "-" + std::to_string(disk));
      auto made = test::LoopImage::Create(image, mountpoint, kFaultVolumeBytes);
      ASSERT_TRUE(made) << made.error().message();
      lane.disks.push_back(std::move(*made));
    }
  }
  for (size_t i = 0; i < all.size(); ++i) {
    const unsigned lane_seed = seed + static_cast<unsigned>(i) * 100'000;
    all[i].process =
        Fork([&, i] { RunRounds(all[i].directory, *all[i].oracle, lane_seed, rounds); });
  }
  int done = 0, killed = 0, rollbacks = 0;
  for (const Lane& lane : all) {
    EXPECT_EQ(WaitFor(lane.process), 0);
    done += lane.oracle->rounds;
    killed += lane.oracle->killed;
    rollbacks += lane.oracle->rollbacks;
  }
  std::printf("%d rounds, killed in %d of them, %d times an older volume\n", done, killed,
              rollbacks);
  EXPECT_EQ(done, lanes * rounds);
  if (test::LongRun()) {
    EXPECT_GT(killed, done / 10);
    EXPECT_GT(rollbacks, done / 100);
  }
  ::munmap(shared, shared_bytes);
}

}  // namespace
}  // namespace pxfs::volumes
