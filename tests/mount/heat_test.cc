// What a mount counts as heat, and what `pxfs hot` and user.pxfs.heat show of it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/xattr.h>
#include <unistd.h>

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
    auto mounted = MountedCluster::Start({.options = GetParam(), .cluster = {}});
    ASSERT_TRUE(mounted) << mounted.error().message();
    mounted_ = std::move(*mounted);
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
