// kill -9 of an ingest at random moments: what is there is whole, nothing else is left behind, and
// --resume completes it.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <random>

#include "tests/cli/mounted_fixture.h"
#include "tests/crash/store_inspection.h"
#include "tests/support/tree_digest.h"

namespace pxfs::test {
namespace {

namespace stdfs = std::filesystem;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

class IngestCrashTest : public MountedCliTest {
 protected:
  static constexpr int kDirectories = 10, kFilesEach = 40;

  void SetUp() override {
    std::mt19937_64 random(1);
    for (int d = 0; d < kDirectories; ++d) {
      const std::string directory = source_ + "/" + std::to_string(d);
      stdfs::create_directories(directory);
      for (int f = 0; f < kFilesEach; ++f)
        WriteText(directory + "/" + std::to_string(f),
                  std::string(random() % 20'000, 'a' + f % 26));
      WriteText(directory + "/large", std::string(2 << 20, 'L'));
      ASSERT_EQ(::link((directory + "/large").c_str(), (directory + "/zarge").c_str()), 0);
      ASSERT_EQ(::symlink("large", (directory + "/link").c_str()), 0);
    }
    Format(2);
  }

  Argv Ingest(const std::string& destination, const Argv& options) {
    Argv arguments = {Program("pxfs"), "ingest", "--cluster", cluster_, source_, destination};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return arguments;
  }

  // Kills an ingest `rounds` times, each after a random part of the time that a whole one takes.
  // `check` is run after each kill.
  void KillRounds(const std::string& destination, const Argv& options,
                  const std::function<void()>& check) {
    const auto started = Clock::now();
    EXPECT_STATUS(RunOk(Ingest("pxfs:/measure", {})));
    const auto whole = std::chrono::duration_cast<milliseconds>(Clock::now() - started);
    const char* const fixed = std::getenv("PXFS_SEED");
    const uint64_t seed = fixed ? std::strtoull(fixed, nullptr, 10) : std::random_device()();
    std::printf("PXFS_SEED=%lu; a whole ingest takes %ld ms\n", seed, whole.count());
    std::mt19937_64 random(seed);
    const int rounds = LongRun() ? 100 : 5;
    int killed = 0;
    for (int round = 0; round < rounds; ++round) {
      auto ingest = Daemon::Start(Ingest(destination, options), scratch_ / "ingest.log");
      ASSERT_TRUE(ingest) << ingest.error().message();
      const milliseconds life(random() % static_cast<uint64_t>(whole.count() + 1));
      if (!ingest->process().WaitForEnd(life)) ++killed;
      ingest->process().Signal(SIGKILL);
      ASSERT_TRUE(ingest->Wait(std::chrono::seconds(10)));
      check();
      if (HasFailure()) return;
    }
    EXPECT_GT(killed, 0) << "every ingest was over before it was killed";
  }

  void ExpectSound() {
    const auto problems = InspectCluster(cluster_);
    ASSERT_TRUE(problems) << problems.error().message();
    EXPECT_THAT(*problems, testing::IsEmpty());
  }
  // What is at `directory` is a part of the source, and each file in it is whole.
  void ExpectPart(const std::string& directory, bool everything) {
    if (!everything && !stdfs::exists(directory)) return;
    DigestOptions options;
    options.times = options.links = everything;  // set at the end
    const auto wanted = DigestTree(source_, options), found = DigestTree(directory, options);
    ASSERT_TRUE(wanted);
    ASSERT_TRUE(found) << found.error().message();
    if (everything) {
      EXPECT_EQ(*wanted, *found);
      return;
    }
    for (const auto& [path, text] : *found) {
      const auto it = wanted->find(path);
      ASSERT_NE(it, wanted->end()) << path;
      EXPECT_EQ(it->second, text) << path;
    }
  }

  const std::string source_ = scratch_ / "source";
};

TEST_F(IngestCrashTest, ResumesAfterKills) {
  KillRounds("pxfs:/data", {"--resume"}, [this] { ExpectSound(); });
  MountCluster();
  if (stdfs::exists(mnt_ + "/data")) ExpectPart(mnt_ + "/data", false);
  Unmount();
  PxfsOk({"ingest", "--resume", source_, "pxfs:/data"});
  MountCluster();
  ExpectPart(mnt_ + "/data", true);
  Unmount();
  ExpectSound();
}

}  // namespace
}  // namespace pxfs::test
