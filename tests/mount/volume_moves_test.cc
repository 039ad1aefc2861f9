// Volumes that are emptied or evened out while their files are read, written and made: nothing is
// lost or doubled, nobody sees an error, and nothing is left behind.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <random>
#include <thread>

#include "base/unique_fd.h"
#include "tests/mount/copies_fixture.h"
#include "tests/support/long_run.h"

namespace pxfs::test {
namespace {

namespace stdfs = std::filesystem;
using testing::HasSubstr;

class VolumeMovesTest : public CopiesTest {
 protected:
  void SetUp() override {}
  uint64_t BytesOn(const std::string& volume) const {
    const nlohmann::json all = Json({"volume", "ls"});
    for (const auto& listed : all)
      if (listed["name"] == volume) return listed["object_bytes"];
    return ~0ull;
  }
};
INSTANTIATE_TEST_SUITE_P(Shapes, VolumeMovesTest, testing::ValuesIn(ShapesInTime()),
                         [](const auto& info) { return ToString(info.param); });

// Each thread has files of its own, so each knows what they must hold.
TEST_P(VolumeMovesTest, AVolumeIsDrainedUnderLoad) {
  StartCluster({});
  const int files = LongRun() ? 100'000 : 400;
  // Those that are used all the time stay where they are until they are not.
  constexpr int kThreads = 2, kLoaded = 40;
  const auto name = [](int file) {
    return "d" + std::to_string(file % 16) + "/f" + std::to_string(file);
  };
  const auto content = [](int file, int version) {
    return std::to_string(file) + ":" + std::to_string(version) +
           std::string(static_cast<size_t>(file % 300), 'x');
  };
  for (int i = 0; i < 16; ++i) stdfs::create_directory(Path("d" + std::to_string(i)));
  std::vector<int> versions(static_cast<size_t>(files), 0);
  for (int i = 0; i < files; ++i) WriteText(Path(name(i)), content(i, 0));
  const uint64_t before = ObjectsOn("v2");
  ASSERT_GT(before, static_cast<uint64_t>(files) / 10);
  EXPECT_THAT(Pxfs({"volume", "drain", "v2", "--dry-run"}), HasSubstr("would move"));
  EXPECT_EQ(ObjectsOn("v2"), before);

  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0}, operations{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      std::mt19937 random(static_cast<unsigned>(thread));
      while (!stop) {
        const int file = static_cast<int>(random() % (kLoaded / kThreads)) * kThreads + thread;
        int& version = versions[static_cast<size_t>(file)];
        if (ReadText(Path(name(file))) != content(file, version)) ++wrong;
        if (random() % 2 == 0) WriteText(Path(name(file)), content(file, ++version));
        ++operations;
      }
    });
  }
  Pxfs({"volume", "drain", "v2"});
  EXPECT_TRUE(Eventually([&] { return ObjectsOn("v2") <= kLoaded; }, std::chrono::seconds(600)));
  stop = true;
  for (std::thread& thread : threads) thread.join();
  Pxfs({"volume", "drain", "v2", "--wait"});
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(operations, 0);
  EXPECT_EQ(ObjectsOn("v2"), 0u);
  int found = 0;
  for (const auto& entry : stdfs::recursive_directory_iterator(mounted_->path()))
    found += entry.is_regular_file() ? 1 : 0;
  EXPECT_EQ(found, files);
  for (int i = 0; i < files; ++i)
    ASSERT_EQ(ReadText(Path(name(i))), content(i, versions[static_cast<size_t>(i)])) << i;
  AwaitQuiet();
  EXPECT_EQ(ObjectsOn("v1") + ObjectsOn("v3"), static_cast<uint64_t>(files));
  Pxfs({"volume", "rm", "v2"});
}

TEST_P(VolumeMovesTest, ADrainThatIsCalledOffLeavesNoFurtherCopies) {
  StartCluster({});
  WriteText(Path("f"), "content");
  const std::string volume = *Volumes("f").begin();
  UniqueFd reader(::open(Path("f").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(reader);
  Pxfs({"volume", "drain", volume});
  // It has its copy, and the one in use stays.
  EXPECT_TRUE(Eventually([&] { return Replicas("f").size() == 2; }));
  Pxfs({"volume", "set", volume, "state=online"});
  reader.reset();
  AwaitCopies("f", 1);
  AwaitQuiet();
}

TEST_P(VolumeMovesTest, FilesMoveToVolumesThatAreLessFull) {
  constexpr int kFiles = 24;
  MountedOptions options;
  options.cluster.volume_image_bytes = 96 << 20;
  StartCluster(options);
  Pxfs({"policy", "set", mounted_->path(), "pin=v1"});
  const auto content = [](int file) { return std::string(1 << 20, static_cast<char>('a' + file)); };
  for (int i = 0; i < kFiles; ++i) WriteText(Path("f" + std::to_string(i)), content(i));
  EXPECT_EQ(BytesOn("v1"), uint64_t{kFiles} << 20);
  EXPECT_THAT(Pxfs({"volume", "rebalance", "--dry-run"}), HasSubstr(": 0 files (0 B) would move"))
      << "they are pinned";
  Pxfs({"policy", "set", mounted_->path(), "placement=spread"});
  EXPECT_THAT(Pxfs({"volume", "rebalance", "--dry-run"}), HasSubstr("would move"));
  EXPECT_EQ(BytesOn("v2"), 0u);
  Pxfs({"volume", "rebalance", "--wait"});
  AwaitQuiet();
  // What was in use then stays: once more.
  EXPECT_TRUE(Eventually(
      [&] {
        Pxfs({"volume", "rebalance", "--wait"});
        AwaitQuiet();
        return BytesOn("v1") <= (10 << 20);
      },
      kPatience));
  for (const char* volume : {"v1", "v2", "v3"}) EXPECT_GT(BytesOn(volume), 0u) << volume;
  EXPECT_EQ(BytesOn("v1") + BytesOn("v2") + BytesOn("v3"), uint64_t{kFiles} << 20);
  for (int i = 0; i < kFiles; ++i) EXPECT_EQ(ReadText(Path("f" + std::to_string(i))), content(i));
}

TEST_P(VolumeMovesTest, CopyingKeepsToTheLimitOfAVolume) {
  StartCluster({});
  WriteText(Path("f"), std::string(3 << 20, 'a'));
  for (const char* volume : {"v1", "v2", "v3"}) Pxfs({"volume", "set", volume, "rate=2M"});
  EXPECT_TRUE(Eventually([&] {
    const auto begin = std::chrono::steady_clock::now();
    Pxfs({"replicate", Path("f"), "--copies", "2", "--wait"});
    const auto took = std::chrono::steady_clock::now() - begin;
    Pxfs({"evict", Path("f")});
    AwaitCopies("f", 1);
    return took > std::chrono::milliseconds(1200);
  }));
}

}  // namespace
}  // namespace pxfs::test
