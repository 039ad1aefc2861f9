// Volumes that are emptied or evened out while their files are read, written and made: nothing is
// lost or doubled, nobody sees an error, and nothing is left behind.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/xattr.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>
#include <thread>

#include "base/unique_fd.h"
#include "tests/mount/copies_fixture.h"
#include "tests/support/long_run.h"
#include "tests/survive/activities.h"

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

// Clients with files of their own, so that each knows what they must hold: each is read, compared
// and perhaps written anew, over and over.
class CheckedFiles {
 public:
  CheckedFiles(std::string directory, int files) : directory_(std::move(directory)) {
    versions_.resize(static_cast<size_t>(files));
    for (int i = 0; i < 16; ++i) stdfs::create_directory(directory_ + "/d" + std::to_string(i));
    for (int i = 0; i < files; ++i) WriteText(Path(i), Content(i));
  }
  ~CheckedFiles() { Stop(); }

  // So many threads work on the first `loaded` files.
  void Start(int threads, int loaded) {
    for (int thread = 0; thread < threads; ++thread)
      threads_.emplace_back([this, thread, threads, loaded] {
        std::mt19937 random(static_cast<unsigned>(thread));
        const auto own = static_cast<unsigned>(loaded / threads);
        while (!stop_) Work(static_cast<int>(random() % own) * threads + thread, random() % 2 == 0);
      });
  }
  void Stop() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  int wrong() const { return wrong_; }
  uint64_t bytes() const { return bytes_; }  // read and written
  // Those that do not hold what they must, or are there twice, or not at all.
  int CountWrong() const {
    int wrong = 0, found = 0;
    const int files = static_cast<int>(versions_.size());
    for (const auto& entry : stdfs::recursive_directory_iterator(directory_))
      found += entry.is_regular_file() ? 1 : 0;
    for (int i = 0; i < files; ++i) wrong += ReadText(Path(i)) == Content(i) ? 0 : 1;
    return wrong + std::abs(found - files);
  }

 private:
  std::string Path(int file) const {
    return directory_ + "/d" + std::to_string(file % 16) + "/f" + std::to_string(file);
  }
  std::string Content(int file) const {
    return std::to_string(file) + ":" + std::to_string(versions_[static_cast<size_t>(file)]) +
           std::string(static_cast<size_t>(file) * 7919 % 32768, 'x');
  }
  void Work(int file, bool write) {
    std::string content = Content(file);
    if (ReadText(Path(file)) != content) ++wrong_;
    bytes_ += content.size();
    if (!write) return;
    ++versions_[static_cast<size_t>(file)];
    content = Content(file);
    WriteText(Path(file), content);
    bytes_ += content.size();
  }

  const std::string directory_;
  std::vector<int> versions_;
  std::atomic<bool> stop_{false};
  std::atomic<int> wrong_{0};
  std::atomic<uint64_t> bytes_{0};
  std::vector<std::thread> threads_;
};

TEST_P(VolumeMovesTest, AVolumeIsDrainedUnderLoad) {
  StartCluster({});
  const int files = LongRun() ? 100'000 : 400;
  // Those that are used all the time stay where they are until they are not.
  constexpr int kThreads = 2, kLoaded = 40, kOfPrograms = 60;
  for (const char* directory : {"checked", "fio"}) stdfs::create_directory(Path(directory));
  CheckedFiles checked(Path("checked"), files);
  const uint64_t before = ObjectsOn("v2");
  ASSERT_GT(before, static_cast<uint64_t>(files) / 10);
  EXPECT_THAT(Pxfs({"volume", "drain", "v2", "--dry-run"}), HasSubstr("would move"));
  EXPECT_EQ(ObjectsOn("v2"), before);

  const TemporaryDirectory home;
  std::vector<std::unique_ptr<Activity>> programs;
  programs.push_back(MakeFio(Path("fio"), "psync"));
  programs.push_back(MakeProgram(
      "git", {"bash", "-ec", "rm -rf \"$1\"; mkdir \"$1\"; exec bash \"$0\" \"$1\" \"$2\"",
              std::string(std::getenv("PXFS_SOURCE")) + "/tests/survive/git.sh", Path("git"),
              home.path()}));
  Activities activities;
  ASSERT_STATUS(activities.Start(std::move(programs)));
  checked.Start(kThreads, kLoaded);

  // What the clients read and write a second, in MB.
  const auto throughput = [&](const std::function<void()>& meanwhile) {
    const auto begun = std::chrono::steady_clock::now();
    const uint64_t bytes = checked.bytes();
    meanwhile();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begun;
    return static_cast<double>(checked.bytes() - bytes) / time.count() / 1e6;
  };
  // Without copying, for as long before as after: until they have done this much.
  const uint64_t some = LongRun() ? 2'000'000'000 : 4'000'000;
  const auto alone = [&] {
    return throughput([&] {
      const uint64_t until = checked.bytes() + some;
      EXPECT_TRUE(Eventually([&] { return checked.bytes() >= until; }, std::chrono::seconds(300)));
    });
  };
  const double before_it = alone();
  const uint64_t copied_before = Replication()["copied_bytes"];
  const auto begun = std::chrono::steady_clock::now();
  constexpr double kRate = 10 * 1.048576;  // MB/s
  const double beside = throughput([&] {
    Pxfs({"volume", "drain", "v2", "--rate", "10M"});
    EXPECT_TRUE(Eventually([&] { return ObjectsOn("v2") <= kLoaded + kOfPrograms; },
                           std::chrono::seconds(1800)));
  });
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  const uint64_t copied = static_cast<uint64_t>(Replication()["copied_bytes"]) - copied_before;
  // What is left is in use; the copier looks at it now and then.
  const double after_it = alone();
  checked.Stop();
  activities.Stop();
  EXPECT_THAT(activities.Problems(), testing::IsEmpty());
  const double mean = (before_it + after_it) / 2;
  const double chance = mean / 5 + std::abs(before_it - after_it) / 2;
  const double explained = mean - 2 * kRate - chance;
  std::string programs_did;
  for (const std::string& line : activities.Summary()) programs_did += "; " + line;
  std::printf(
      "drained %llu files in %.1f s: clients had %.1f MB/s before and %.1f MB/s after, %.1f MB/s "
      "beside %.1f MB/s of copying; with %.1f MB/s read and as much written for that, and %.1f "
      "MB/s "
      "for chance, that could be %.1f MB/s%s\n",
      static_cast<unsigned long long>(before), took.count(), before_it, after_it, beside,
      static_cast<double>(copied) / took.count() / 1e6, kRate, chance, explained,
      programs_did.c_str());
  // Shorter runs say little.
  if (LongRun()) {
    EXPECT_GT(beside, explained);
  }

  for (const char* directory : {"fio", "git"}) stdfs::remove_all(Path(directory));
  Pxfs({"volume", "set", "v2", "rate=0"});
  Pxfs({"volume", "drain", "v2", "--wait"});
  EXPECT_EQ(checked.wrong(), 0);
  EXPECT_GT(checked.bytes(), 0u);
  EXPECT_EQ(ObjectsOn("v2"), 0u);
  EXPECT_EQ(checked.CountWrong(), 0);
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
  // The limits hold within two seconds; then there is time to see it.
  EXPECT_TRUE(Eventually([&] {
    Pxfs({"replicate", Path("f"), "--copies", "2"});
    // What is told of a copy under way, by all that tell of copies.
    bool by_where = false, by_info = false, by_xattr = false;
    const auto is_copied = [](const nlohmann::json& file) {
      for (const auto& replica : file["replicas"])
        if (replica["state"] == "copying" && replica.contains("copied"))
          return replica["copied"] <= (3 << 20);
      return false;
    };
    Eventually(
        [&] {
          by_where |= is_copied(Json({"where", Path("f")}).at(0));
          by_info |= is_copied(Json({"info", Path("f")}));
          char location[4096];
          const ssize_t size =
              ::getxattr(Path("f").c_str(), "user.pxfs.location", location, sizeof location);
          EXPECT_GT(size, 0);
          by_xattr |= size > 0 && is_copied(nlohmann::json::parse(
                                      std::string_view(location, static_cast<size_t>(size))));
          return (by_where && by_info && by_xattr) || Volumes("f").size() == 2;
        },
        kPatience);
    const bool seen = by_where && by_info && by_xattr;
    Pxfs({"evict", Path("f")});
    AwaitCopies("f", 1);
    return seen;
  }));
  EXPECT_TRUE(Eventually([&] {
    const auto begin = std::chrono::steady_clock::now();
    Pxfs({"replicate", Path("f"), "--copies", "2", "--wait"});
    const auto took = std::chrono::steady_clock::now() - begin;
    Pxfs({"evict", Path("f")});
    AwaitCopies("f", 1);
    return took > std::chrono::milliseconds(1200);
  }));
  // Small ones cost more than their bytes: 3 MiB in all.
  stdfs::create_directory(Path("small"));
  for (int i = 0; i < 48; ++i) WriteText(Path("small/f" + std::to_string(i)), "x");
  const auto begin = std::chrono::steady_clock::now();
  Pxfs({"replicate", "-r", Path("small"), "--copies", "2", "--wait"});
  EXPECT_GT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(1000));
}

}  // namespace
}  // namespace pxfs::test
