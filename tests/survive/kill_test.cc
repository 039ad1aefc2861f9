// kill -9 of a mount's daemon, again and again, while programs work on the mount: nothing fails, no
// byte is wrong, and nobody waits for long.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "base/unique_fd.h"
#include "tests/crash/store_inspection.h"
#include "tests/crash/worker.h"
#include "tests/support/long_run.h"
#include "tests/support/mounted_cluster.h"
#include "tests/survive/activities.h"
#include "tests/survive/daemon_killer.h"
#include "tests/survive/prober.h"

namespace pxfs::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kBetweenKills(1000);
constexpr seconds kLimit(120);
// What a program may have to wait for a call at most, beyond what the machine itself makes it wait:
// every call and everything that the next daemon does to start can meet such a delay. The target is
// for a machine that does nothing else, as the long run wants; the other bound is for one that
// does.
constexpr milliseconds kLongestStall(250);
constexpr milliseconds kLongestStallOnABusyMachine(2000);

struct Variant {
  Shape shape;
  std::string options;
  int kills;  // by default
};
void PrintTo(const Variant& variant, std::ostream* out) {
  *out << ToString(variant.shape) << " " << variant.options;
}

// Random operations in a process of its own, which keeps a record of them (tests/crash).
class RecordedWork {
 public:
  RecordedWork(const std::string& directory, const std::string& log)
      : directory_(directory), log_(log) {
    void* shared = ::mmap(nullptr, sizeof(WorkloadControl), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) std::abort();
    control_ = new (shared) WorkloadControl;
  }
  ~RecordedWork() {
    if (pid_ > 0) ::kill(pid_, SIGKILL), ::waitpid(pid_, nullptr, 0);
    ::munmap(control_, sizeof(WorkloadControl));
  }

  // From a process without threads.
  Status Start(uint32_t seed) {
    PXFS_TRY(MakeDirectories(directory_));
    pid_ = StartWorker(directory_, log_, seed, *control_);
    if (pid_ < 0) return FailErrno(errno, "start the recorded work in " + directory_);
    return {};
  }
  void Stop() {
    control_->stop = true;
    const auto process = Process::Find(pid_);
    EXPECT_TRUE(process && process->WaitForEnd(kLimit)) << "the recorded work hangs";
    ::kill(pid_, SIGKILL);
    ::waitpid(std::exchange(pid_, 0), nullptr, 0);
    const auto history = ReadHistory(log_);
    ASSERT_TRUE(history) << history.error().message();
    EXPECT_EQ(history->error, "");
    EXPECT_GT(history->operations, 0u);
    EXPECT_EQ(CompareWithHistory(*history, directory_), "");
  }

 private:
  const std::string directory_, log_;
  WorkloadControl* control_;
  pid_t pid_ = 0;
};

class Survive : public testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    auto mounted = MountedCluster::Start({.shape = GetParam().shape,
                                          .options = GetParam().options,
                                          .cluster = {.ext4_image = true}});
    ASSERT_TRUE(mounted) << mounted.error().message();
    mounted_ = std::move(*mounted);
  }
  std::string Path(const std::string& name) const { return mounted_->path() + "/" + name; }
  const std::string& Native() const { return mounted_->cluster().native(); }

  std::vector<std::unique_ptr<Activity>> Work();
  void KillRepeatedly(Activities& activities);
  void StartJob();
  void EndJob();

  std::unique_ptr<MountedCluster> mounted_;
  Prober* prober_ = nullptr;
  Prober* native_prober_ = nullptr;
  std::string job_;
};

// The seldom finished ones last: AllMoved waits for all.
std::vector<std::unique_ptr<Activity>> Survive::Work() {
  const std::string source = std::getenv("PXFS_SOURCE");
  std::vector<std::unique_ptr<Activity>> work;
  auto prober = std::make_unique<Prober>(Path("prober"));
  auto native_prober = std::make_unique<Prober>(Native() + "/prober");
  prober_ = prober.get();
  native_prober_ = native_prober.get();
  work.push_back(std::move(prober));
  work.push_back(std::move(native_prober));
  for (auto& holder : MakeHolders(mounted_->path())) work.push_back(std::move(holder));
  const std::string git = source + "/tests/survive/git.sh";
  work.push_back(MakeProgram(
      "git", {"bash", "-euc",
              "work=$(mktemp -d " + Path("git.XXXXXX") + ") scratch=$(mktemp -d " + Native() +
                  "/git.XXXXXX)\nbash " + git + " $work $scratch\nrm -r $work $scratch"}));
  return work;
}

// A container that reads its input by both ways, through the mount and through the fast path, until
// it is told to end.
void Survive::StartJob() {
  ASSERT_STATUS(MakeDirectories(Path("job/input")));
  for (int i = 0; i < 8; ++i) {
    std::ofstream out(Path("job/input/f" + std::to_string(i)));
    for (int line = 0; line < 2000; ++line) out << i << " " << line << "\n";
  }
  const std::string script =
      "expected=$(cat /pxfs/job/input/* | cksum); rounds=0\n"
      "cd /pxfs/job\n"
      "until [ -e /pxfs/job/stop ]; do\n"
      "  [ \"$(cat input/* | cksum)\" = \"$expected\" ] || exit 3\n"
      "  [ \"$(xargs cat <\"$PXFS_INPUTS\" | cksum)\" = \"$expected\" ] || exit 4\n"
      "  rounds=$((rounds + 1)); echo $rounds >>\"$PXFS_OUTPUT/rounds\" || exit 5\n"
      "done\n";
  const auto submitted =
      RunProgram({Program("pxfs-job"), "submit", "--parsable", "--input", Path("job/input"),
                  "--output", Path("job/output"), "--", "sh", "-c", script},
                 {"PXFS_CLUSTER=" + mounted_->cluster().directory()});
  ASSERT_TRUE(submitted) << submitted.error().message();
  ASSERT_EQ(submitted->status, 0) << submitted->output;
  job_ = submitted->output.substr(0, submitted->output.find('\n'));
}

void Survive::EndJob() {
  std::ofstream(Path("job/stop")).close();
  EXPECT_STATUS(RunOk({Program("pxfs-job"), "wait", job_},
                      {"PXFS_CLUSTER=" + mounted_->cluster().directory()}));
  const auto rounds = ReadFile(Path("job/output/rounds"));
  ASSERT_TRUE(rounds) << rounds.error().message();
  EXPECT_THAT(*rounds, testing::StartsWith("1\n2\n"));
}

void Survive::KillRepeatedly(Activities& activities) {
  const int kills = LongRun() ? 60 : GetParam().kills;
  auto next = std::chrono::steady_clock::now() + kBetweenKills;
  for (int i = 0; i < kills; ++i) {
    std::this_thread::sleep_until(next);  // the rhythm of the kills, not a wait for anything
    next += kBetweenKills;
    ASSERT_STATUS(KillDaemon(mounted_->cluster().directory(), mounted_->path()));
  }
  // What takes long has gone on through at least one more round.
  const auto deadline = std::chrono::steady_clock::now() + kLimit;
  while (!activities.AllMoved() && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(milliseconds(10));
}

TEST_P(Survive, KillsOfTheDaemonGoUnnoticed) {
  RecordedWork recorded(Path("recorded"), Native() + "/recorded.log");
  ASSERT_STATUS(recorded.Start(7));
  ASSERT_NO_FATAL_FAILURE(StartJob());
  Stall stall, native;
  {
    Activities activities;
    ASSERT_STATUS(activities.Start(Work()));
    KillRepeatedly(activities);
    activities.Stop();
    EXPECT_THAT(activities.Problems(), testing::IsEmpty());
    for (const std::string& line : activities.Summary()) std::printf("  %s\n", line.c_str());
    stall = prober_->longest();
    native = native_prober_->longest();
  }
  recorded.Stop();
  EndJob();

  std::printf("LONGEST STALL %.1f ms (%s); without pxfs %.1f ms (%s); %s, %d kills\n",
              static_cast<double>(stall.time.count()) / 1000, stall.call.c_str(),
              static_cast<double>(native.time.count()) / 1000, native.call.c_str(),
              testing::PrintToString(GetParam()).c_str(), LongRun() ? 60 : GetParam().kills);
  EXPECT_LT(stall.time,
            (LongRun() ? kLongestStall : kLongestStallOnABusyMachine) + 2 * native.time);

  ASSERT_STATUS(mounted_->Stop());
  const auto problems = InspectCluster(mounted_->cluster().directory());
  ASSERT_TRUE(problems) << problems.error().message();
  EXPECT_THAT(*problems, testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Shapes, Survive,
                         testing::Values(Variant{Shape::kEmbedded, "passthrough=auto", 5},
                                         Variant{Shape::kEmbedded, "passthrough=off", 4},
                                         Variant{Shape::kDaemon, "passthrough=auto", 3},
                                         Variant{Shape::kDaemon, "passthrough=off", 3}),
                         [](const testing::TestParamInfo<Variant>& info) {
                           return VariantName(info.param.shape, info.param.options);
                         });

}  // namespace
}  // namespace pxfs::test
