// kill -9 of what serves a mount, while several processes work on it: afterwards every operation
// that had returned is there, and the store and the volumes fit together.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <random>

#include "base/unique_fd.h"
#include "tests/crash/store_inspection.h"
#include "tests/crash/worker.h"
#include "tests/support/long_run.h"
#include "tests/support/mounted_cluster.h"

namespace pxfs::test {
namespace {

constexpr int kWorkers = 4;
constexpr std::chrono::seconds kLimit(60);

int Rounds() { return LongRun() ? 40 : 6; }

struct Variant {
  Shape shape;
  std::string options;
};
void PrintTo(const Variant& variant, std::ostream* out) {
  *out << ToString(variant.shape) << " " << variant.options;
}

class Crash : public testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    MountedOptions options{
        .shape = GetParam().shape, .options = GetParam().options, .cluster = {.ext4_image = true}};
    auto mounted = MountedCluster::Start(options);
    ASSERT_TRUE(mounted) << mounted.error().message();
    mounted_ = std::move(*mounted);
    void* shared = ::mmap(nullptr, sizeof(WorkloadControl), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(shared, MAP_FAILED);
    control_ = static_cast<WorkloadControl*>(shared);
  }
  void TearDown() override { ::munmap(control_, sizeof(WorkloadControl)); }

  std::string WorkerDirectory(int round, int worker) const {
    return mounted_->path() + "/round" + std::to_string(round) + "/w" + std::to_string(worker);
  }
  std::string LogFile(int round, int worker) const {
    return mounted_->cluster().native() + "/log" + std::to_string(round) + "." +
           std::to_string(worker);
  }

  void StartWorkers(int round, uint64_t operations) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    reached_ = UniqueFd(ends[0]);
    const UniqueFd writer(ends[1]);  // the workers inherit it
    new (control_) WorkloadControl;
    control_->wanted = operations;
    control_->reached_fd = writer.get();
    workers_.clear();
    for (int i = 0; i < kWorkers; ++i) {
      ASSERT_STATUS(MakeDirectories(WorkerDirectory(round, i)));
      workers_.push_back(StartWorker(WorkerDirectory(round, i), LogFile(round, i),
                                     static_cast<uint32_t>(round * kWorkers + i), *control_));
      ASSERT_GT(workers_.back(), 0) << std::strerror(errno);
    }
  }
  // Until they have done what was wanted; false: they ended before that.
  bool WaitForWork() {
    char byte;
    return ::read(reached_.get(), &byte, 1) == 1;
  }
  void WaitForWorkers() {
    for (const pid_t pid : workers_) {
      const auto process = Process::Find(pid);
      const bool ended = process && process->WaitForEnd(kLimit);
      EXPECT_TRUE(ended) << "a worker hangs";
      if (!ended) ::kill(pid, SIGKILL);
      int status = 0;
      ASSERT_EQ(::waitpid(pid, &status, 0), pid);
      EXPECT_EQ(status, 0) << "a worker met an error that the kill does not explain; see its log";
    }
  }

  // Lets the workers do about `operations` and kills everything that serves the mount, while they
  // go on.
  void WorkAndKill(int round, uint64_t operations) {
    StartWorkers(round, operations);
    EXPECT_TRUE(WaitForWork());
    control_->killed = true;
    EXPECT_STATUS(mounted_->Kill());
    WaitForWorkers();
  }

  void ExpectHistory(int round) {
    for (int i = 0; i < kWorkers; ++i) {
      const auto history = ReadHistory(LogFile(round, i));
      ASSERT_TRUE(history) << history.error().message();
      EXPECT_EQ(history->error, "");
      EXPECT_EQ(CompareWithHistory(*history, WorkerDirectory(round, i)), "");
    }
  }

  std::unique_ptr<MountedCluster> mounted_;
  WorkloadControl* control_ = nullptr;
  UniqueFd reached_;
  std::vector<pid_t> workers_;
};

TEST_P(Crash, LosesNothingThatHadReturned) {
  std::mt19937 random(static_cast<uint32_t>(GetParam().options.size()));
  for (int round = 0; round < Rounds(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    WorkAndKill(round, 100 + random() % 3'000);
    ASSERT_STATUS(mounted_->Restart());
    for (int earlier = 0; earlier <= round; ++earlier) ExpectHistory(earlier);
    if (HasFailure()) return;
  }
  ASSERT_STATUS(mounted_->Stop());
  const auto problems = InspectCluster(mounted_->cluster().directory());
  ASSERT_TRUE(problems) << problems.error().message();
  EXPECT_THAT(*problems, testing::IsEmpty());
}

// Without a mount in between: what the last process left must be sound by itself.
TEST_P(Crash, LeavesAStoreThatCanBeChecked) {
  WorkAndKill(0, 1'500);
  const auto problems = InspectCluster(mounted_->cluster().directory());
  ASSERT_TRUE(problems) << problems.error().message();
  EXPECT_THAT(*problems, testing::IsEmpty());
}

// Mounts outlive the metadata service: what they are asked meanwhile waits for the next one.
class CrashOfPxfsd : public Crash {};

TEST_P(CrashOfPxfsd, IsNotNoticedByTheWorkload) {
  constexpr uint64_t kBetweenKills = 400;
  StartWorkers(0, kBetweenKills);
  for (int round = 0; round < Rounds(); ++round) {
    ASSERT_TRUE(WaitForWork());
    ASSERT_STATUS(mounted_->KillAndRestartDaemon());
    control_->wanted = control_->done + kBetweenKills;
  }
  EXPECT_TRUE(WaitForWork());
  control_->stop = true;
  WaitForWorkers();
  ExpectHistory(0);
  ASSERT_STATUS(mounted_->Stop());
  const auto problems = InspectCluster(mounted_->cluster().directory());
  ASSERT_TRUE(problems) << problems.error().message();
  EXPECT_THAT(*problems, testing::IsEmpty());
}

std::string NameOf(const testing::TestParamInfo<Variant>& info) {
  return VariantName(info.param.shape, info.param.options);
}

INSTANTIATE_TEST_SUITE_P(Shapes, CrashOfPxfsd,
                         testing::Values(Variant{Shape::kDaemon, "passthrough=auto"},
                                         Variant{Shape::kDaemon, "passthrough=off"}),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(Shapes, Crash,
                         testing::Values(Variant{Shape::kEmbedded, "passthrough=auto"},
                                         Variant{Shape::kEmbedded, "passthrough=off"},
                                         Variant{Shape::kDaemon, "passthrough=auto"},
                                         Variant{Shape::kDaemon, "passthrough=off"}),
                         NameOf);

}  // namespace
}  // namespace pxfs::test
