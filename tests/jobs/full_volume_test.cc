// Jobs on volumes without room: they fail with one line that names the volume, publish nothing, and
// leave nothing; what was there before is whole.
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>

#include "tests/jobs/job_fixture.h"

namespace pxfs::test {
namespace {

// Writes until the volume of the task's output takes no more, and says so in its own way.
constexpr const char* kFill =
    "n=0; while head -c 1048576 /dev/zero > $PXFS_OUTPUT/part$n 2>/dev/null; do n=$((n+1)); done\n"
    "while head -c 4096 /dev/zero >> $PXFS_OUTPUT/rest 2>/dev/null; do :; done\n";

class FullVolumeTest : public JobTest {
 public:
  static void SetUpTestSuite() {
    MountedOptions options;
    options.cluster.volume_image_bytes = 24 << 20;
    Begin(options);
  }

 protected:
  static uint64_t FreeBytes(const std::string& volume) {
    struct statvfs space {};
    EXPECT_EQ(::statvfs(volume.c_str(), &space), 0) << volume;
    return space.f_bavail * space.f_frsize;
  }
  void SetUp() override {
    JobTest::SetUp();
    input_ = MakeInput("in");
    for (const auto& volume : cluster().cluster().volumes()) free_.push_back(FreeBytes(volume));
  }
  // What the job did with the volumes is undone, and the next one can use them.
  void ExpectAsBefore() {
    EXPECT_FALSE(std::filesystem::exists(Here("out")));
    EXPECT_EQ(Leftovers(), std::vector<std::string>());
    // Removed files of the namespace go in the background.
    const auto& volumes = cluster().cluster().volumes();
    for (size_t i = 0; i < volumes.size(); ++i) {
      EXPECT_TRUE(Eventually([&] { return FreeBytes(volumes[i]) + (64 << 10) >= free_[i]; }))
          << volumes[i] << ": " << FreeBytes(volumes[i]) << " bytes are free, " << free_[i]
          << " were before";
    }
    const Outcome next = Job(
        {"submit", "--wait", "--input", Here("in"), "--output", Here("out"), "--", "sh", "-c",
         "find " + InContainer("in") + " -type f -exec sha256sum {} + | sort > $PXFS_OUTPUT/sums"});
    ASSERT_EQ(next.status, 0) << next.errors;
    std::string expected;
    for (const auto& line : input_) expected += line + "\n";
    EXPECT_EQ(ReadText(Here("out/sums")), expected);
  }

 private:
  std::vector<std::string> input_;
  std::vector<uint64_t> free_;
};

TEST_F(FullVolumeTest, FailsTheJobWhoseTaskFillsIt) {
  const uint64_t id =
      Submit({"--output", Here("out"), "--", "sh", "-c", std::string(kFill) + "exit 3"});
  const Outcome waited = WaitFor(id);
  EXPECT_EQ(waited.status, 3);
  const auto shown = Show(id);
  EXPECT_EQ(shown["state"], "failed");
  const std::string message = shown["message"];
  EXPECT_TRUE(message.starts_with("exit status 3; volume v")) << message;
  EXPECT_NE(message.find(", where its output was staged, is full"), std::string::npos) << message;
  EXPECT_NE(waited.errors.find(message), std::string::npos) << waited.errors;
  ExpectAsBefore();
}

// All of it is there when the job says so, however little room there was to publish it.
TEST_F(FullVolumeTest, TakesWhatStillFits) {
  const uint64_t id = Submit({"--output", Here("out"), "--", "sh", "-c",
                              std::string(kFill) + "cd $PXFS_OUTPUT; sha256sum part0 rest"});
  const Outcome waited = WaitFor(id);
  ASSERT_EQ(waited.status, 0) << waited.errors;
  const auto sums =
      RunProgram({"sh", "-c", "cd \"$1\" && sha256sum part0 rest", "sh", Here("out")});
  ASSERT_TRUE(sums);
  EXPECT_EQ(sums->output, Job({"logs", std::to_string(id)}).output);
  std::filesystem::remove_all(Here("out"));
  ExpectAsBefore();
}

TEST_F(FullVolumeTest, FailsAWriteThroughTheMount) {
  const uint64_t id = Submit(
      {"--output", Here("out"), "--", "sh", "-c",
       "cat /dev/zero > " + InContainer("big") + " || { touch $PXFS_OUTPUT/half; exit 4; }"});
  const Outcome waited = WaitFor(id);
  EXPECT_EQ(waited.status, 4);
  EXPECT_NE(Job({"logs", std::to_string(id)}).errors.find("No space left on device"),
            std::string::npos);
  ASSERT_EQ(::unlink(Here("big").c_str()), 0);
  ExpectAsBefore();
}

TEST_F(FullVolumeTest, NoneHasRoomForTheOutput) {
  std::vector<std::string> fillers;
  for (const auto& volume : cluster().cluster().volumes()) {
    fillers.push_back(volume + "/filler");
    const auto filled =
        RunProgram({"sh", "-c", "cat /dev/zero > \"$1\" 2>/dev/null", "sh", fillers.back()});
    ASSERT_TRUE(filled);
  }
  const Outcome refused = Job({"submit", "--wait", "--output", Here("out"), "--", "true"});
  for (const auto& filler : fillers) ASSERT_EQ(::unlink(filler.c_str()), 0);
  EXPECT_EQ(refused.status, 125);
  EXPECT_EQ(std::count(refused.errors.begin(), refused.errors.end(), '\n'), 1) << refused.errors;
  EXPECT_NE(refused.errors.find("no place for its output"), std::string::npos) << refused.errors;
  for (const char* name : {"v1", "v2", "v3"})
    EXPECT_NE(refused.errors.find(name), std::string::npos) << refused.errors;
  ExpectAsBefore();
}

}  // namespace
}  // namespace pxfs::test
