// What a mount counts as heat, and what `pxfs hot` and user.pxfs.heat show of it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/unique_fd.h"
#include "tests/support/mounted_cluster.h"

namespace pxfs::test {
namespace {

constexpr size_t kBytes = 1 << 20;

class HeatOnAMount : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    ClusterOptions cluster;
    cluster.volume_image_bytes = 64 << 20;
    auto mounted = MountedCluster::Start({.options = GetParam(), .cluster = cluster});
    ASSERT_TRUE(mounted) << mounted.error().message();
    mounted_ = std::move(*mounted);
    // Copies would come while the test counts.
    EXPECT_STATUS(RunOk({Program("pxfs"), "policy", "set", mounted_->path(), "hot=off"}));
    for (const char* name : {"cold", "warm", "hot"})
      std::ofstream(Path(name)) << std::string(kBytes, 'x');
  }
  void TearDown() override {
    if (mounted_) EXPECT_STATUS(mounted_->Stop());
  }

  std::string Path(const std::string& name) const { return mounted_->path() + "/" + name; }
  void ReadTimes(const std::string& name, int times) {
    for (int i = 0; i < times; ++i) {
      const auto content = ReadFile(Path(name));
      ASSERT_TRUE(content) << content.error().message();
      ASSERT_EQ(content->size(), kBytes);
    }
  }
  nlohmann::json Xattr(const std::string& name) {
    char value[256];
    const ssize_t n = ::getxattr(Path(name).c_str(), "user.pxfs.heat", value, sizeof value);
    if (n < 0) return {};
    return nlohmann::json::parse(std::string(value, static_cast<size_t>(n)), nullptr, false);
  }
  const std::vector<std::string>& volumes() const { return mounted_->cluster().volumes(); }
  void DropPages() const {
    for (const std::string& volume : volumes())
      for (const auto& entry : std::filesystem::recursive_directory_iterator(volume + "/objects")) {
        if (!entry.is_regular_file()) continue;
        const UniqueFd fd(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC));
        EXPECT_EQ(::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
      }
  }
  uint64_t BytesReadFromDisks() const {
    uint64_t sectors = 0;
    for (const std::string& volume : volumes()) {
      struct stat st;
      EXPECT_EQ(::stat(volume.c_str(), &st), 0);
      std::ifstream in("/sys/dev/block/" + std::to_string(major(st.st_dev)) + ":" +
                       std::to_string(minor(st.st_dev)) + "/stat");
      uint64_t requests = 0, merged = 0, read = 0;
      in >> requests >> merged >> read;
      sectors += read;
    }
    return sectors * 512;
  }
  nlohmann::json Hot() {
    const auto outcome = RunProgram({Program("pxfs"), "hot", "--json", "-n", "2", "--cluster",
                                     mounted_->cluster().directory()});
    if (!outcome || outcome->status != 0) return {};
    return nlohmann::json::parse(outcome->output, nullptr, false);
  }

  std::unique_ptr<MountedCluster> mounted_;
};

// Time passes meanwhile, and with it heat: by half in a minute.
TEST_P(HeatOnAMount, CountsOpensAndBytes) {
  ReadTimes("hot", 40);
  ReadTimes("warm", 10);
  const auto hot = Xattr("hot"), warm = Xattr("warm"), cold = Xattr("cold");
  ASSERT_TRUE(hot.is_object() && warm.is_object() && cold.is_object());
  EXPECT_LE(hot["opens"], 41.01);  // and one for the creation
  EXPECT_GT(hot["opens"], 20);
  EXPECT_GT(hot["opens"], 2 * warm["opens"].get<double>());
  EXPECT_LE(cold["opens"], 1.01);
  // Every byte was read as often as the file was opened.
  const double per_open = hot["bytes"].get<double>() / hot["opens"].get<double>();
  EXPECT_NEAR(per_open, kBytes, 0.05 * kBytes);

  const auto listed = Hot();
  ASSERT_EQ(listed["files"].size(), 2u) << listed;
  EXPECT_EQ(listed["files"][0]["path"], "/hot");
  EXPECT_EQ(listed["files"][1]["path"], "/warm");
  EXPECT_EQ(listed["files"][0]["copies"], 1);
}

// What is read from the disks, once nothing of it is in the page cache, is what heat says.
TEST_P(HeatOnAMount, AgreesWithTheDisks) {
  constexpr int kFiles = 12;
  const auto name = [](int i) { return "f" + std::to_string(i); };
  for (int i = 0; i < kFiles; ++i) std::ofstream(Path(name(i))) << std::string(kBytes, 'y');
  ASSERT_STATUS(RunOk({"sync"}));
  DropPages();
  double heat_before = 0;  // of the writing
  for (int i = 0; i < kFiles; ++i) heat_before += Xattr(name(i))["bytes"].get<double>();
  const uint64_t disk_before = BytesReadFromDisks();
  for (int i = 0; i < kFiles; ++i) ReadTimes(name(i), 1);
  const auto disk = static_cast<double>(BytesReadFromDisks() - disk_before);
  double heat = -heat_before;
  for (int i = 0; i < kFiles; ++i) heat += Xattr(name(i))["bytes"].get<double>();
  EXPECT_NEAR(disk, kFiles * kBytes, 0.05 * kFiles * kBytes);
  EXPECT_NEAR(heat, disk, 0.1 * disk);
  std::printf("disks %.2f MiB, heat %.2f MiB\n", disk / (1 << 20), heat / (1 << 20));
}

TEST_P(HeatOnAMount, OutlivesTheMountButNotTheFile) {
  ReadTimes("hot", 40);
  ReadTimes("warm", 10);
  ASSERT_EQ(::unlink(Path("warm").c_str()), 0);
  ASSERT_STATUS(mounted_->Stop());
  ASSERT_STATUS(mounted_->Restart());
  const auto listed = Hot();
  ASSERT_EQ(listed["files"].size(), 2u) << listed;
  EXPECT_EQ(listed["files"][0]["path"], "/hot");
  EXPECT_GT(listed["files"][0]["opens"], 20);
  EXPECT_EQ(listed["files"][1]["path"], "/cold");
}

INSTANTIATE_TEST_SUITE_P(Routes, HeatOnAMount,
                         testing::Values("passthrough=auto", "passthrough=off"),
                         [](const auto& info) {
                           return info.param == std::string("passthrough=off") ? "Relayed"
                                                                               : "Passthrough";
                         });

}  // namespace
}  // namespace pxfs::test
