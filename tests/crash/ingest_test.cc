// kill -9 of `pxfs ingest` at any moment: running it again with --resume completes it, and nothing
// that the killed ones had begun stays behind.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <random>

#include "tests/crash/store_inspection.h"
#include "tests/support/long_run.h"
#include "tests/support/mounted_cluster.h"

namespace pxfs::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kDirectories = 40, kFilesEach = 50;
constexpr std::chrono::seconds kLimit(60);
constexpr int kMaxRounds = 20;  // until one was killed in time

// Who serves the cluster while files are brought in.
enum class Server { kMount, kPxfsd, kNobody };

class IngestCrash : public testing::TestWithParam<Server> {
 protected:
  void SetUp() override {
    auto mounted = MountedCluster::Start(
        {.shape = GetParam() == Server::kPxfsd ? Shape::kDaemon : Shape::kEmbedded,
         .options = "",
         .cluster = {.ext4_image = true}});
    ASSERT_TRUE(mounted) << mounted.error().message();
    mounted_ = std::move(*mounted);
    MakeSource();
    if (GetParam() == Server::kNobody) ASSERT_STATUS(mounted_->Stop());
  }

  std::string source() { return mounted_->cluster().native() + "/source"; }

  // Files of all sizes, of which some have several names, an attribute or no content.
  void MakeSource() {
    std::string bytes(300'000, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random_());
    for (int d = 0; d < kDirectories; ++d) {
      const std::string directory = source() + "/d" + std::to_string(d);
      ASSERT_STATUS(MakeDirectories(directory));
      for (int f = 0; f < kFilesEach; ++f) {
        const std::string path = directory + "/f" + std::to_string(f);
        const size_t limit = f % 10 == 0 ? bytes.size() : 20'000;
        std::ofstream(path) << std::string_view(bytes).substr(0, random_() % limit);
        if (f % 7 == 0) {
          ASSERT_EQ(::setxattr(path.c_str(), "user.number", path.data(), path.size(), 0), 0);
        }
        if (f % 9 == 0) {
          ASSERT_EQ(::link(path.c_str(), (path + ".link").c_str()), 0);
        }
        if (f % 11 == 0) {
          ASSERT_EQ(::symlink("f1", (path + ".symlink").c_str()), 0);
        }
      }
    }
  }

  std::string Directory(int round) const { return "round" + std::to_string(round); }

  Argv Ingest(int round, bool resume) {
    Argv argv = {Program("pxfs"), "--cluster", mounted_->cluster().directory(), "ingest"};
    if (resume) argv.push_back("--resume");
    argv.insert(argv.end(), {source() + "/.", "pxfs:/" + Directory(round)});
    return argv;
  }

  // The tree that was brought in, compared by somebody else's program.
  void ExpectComplete(int round) {
    const auto compared =
        RunProgram({"rsync", "-aHAXn", "--delete", "--checksum", "--itemize-changes",
                    source() + "/", mounted_->path() + "/" + Directory(round) + "/"});
    ASSERT_TRUE(compared) << compared.error().message();
    EXPECT_EQ(compared->status, 0) << compared->output;
    EXPECT_EQ(compared->output, "") << "differs from its source: " << Directory(round);
  }

  std::mt19937 random_{static_cast<uint32_t>(GetParam()) + 1};
  std::unique_ptr<MountedCluster> mounted_;
};

TEST_P(IngestCrash, IsMadeGoodByResume) {
  const auto started = Clock::now();
  ASSERT_STATUS(RunOk(Ingest(0, false)));
  auto whole = Clock::now() - started;

  const int wanted = LongRun() ? 20 : 2;
  int rounds = 0;
  int killed = 0;
  while (rounds < wanted || (killed == 0 && rounds < kMaxRounds)) {
    const int round = ++rounds;
    for (int attempt = 0; attempt < 3; ++attempt) {
      auto ingest =
          Daemon::Start(Ingest(round, attempt > 0), mounted_->cluster().scratch() / "log");
      ASSERT_TRUE(ingest) << ingest.error().message();
      const auto begun = Clock::now();
      // No condition is waited for here: any moment will do.
      const auto moment = std::chrono::duration_cast<std::chrono::milliseconds>(
          std::uniform_real_distribution<>(0, 1)(random_) * whole);
      const bool ended = ingest->process().WaitForEnd(moment);
      // The machine is not as busy as it was.
      if (ended && attempt == 0) whole = Clock::now() - begun;
      ingest->process().Signal(SIGKILL);
      const auto status = ingest->Wait(kLimit);
      ASSERT_TRUE(status) << status.error().message();
      if (WIFSIGNALED(*status)) ++killed;
    }
    ASSERT_STATUS(RunOk(Ingest(round, true)));
  }
  EXPECT_GT(killed, 0);

  if (GetParam() == Server::kNobody) ASSERT_STATUS(mounted_->Restart());
  for (int round = 0; round <= rounds; ++round) ExpectComplete(round);
  ASSERT_STATUS(mounted_->Stop());
  const auto problems = InspectCluster(mounted_->cluster().directory());
  ASSERT_TRUE(problems) << problems.error().message();
  EXPECT_THAT(*problems, testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Servers, IngestCrash,
                         testing::Values(Server::kMount, Server::kPxfsd, Server::kNobody),
                         [](const auto& info) {
                           return info.param == Server::kMount   ? "mount"
                                  : info.param == Server::kPxfsd ? "pxfsd"
                                                                 : "nobody";
                         });

}  // namespace
}  // namespace pxfs::test
