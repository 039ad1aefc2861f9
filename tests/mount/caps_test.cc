// What of a mount is bounded: files that are open, and the daemon's own descriptors. At the cap the
// caller is told, and everything goes on afterwards.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "tests/support/eventually.h"
#include "tests/support/mounted_cluster.h"

namespace pxfs::test {
namespace {

// What `pxfs status` says of the only mount of the cluster.
nlohmann::json UsageOfMount(const std::string& cluster) {
  const auto status =
      RunProgram({Program("pxfs"), "status", "--json"}, {"PXFS_CLUSTER=" + cluster});
  EXPECT_TRUE(status && status->status == 0);
  return nlohmann::json::parse(status->output).at("mounts").at(0).at("usage");
}

class OpenFileCaps : public testing::TestWithParam<Shape> {
 protected:
  void Start(const std::string& options) {
    auto mounted = MountedCluster::Start({GetParam(), options, {}});
    ASSERT_TRUE(mounted) << mounted.error().message();
    mounted_ = std::move(*mounted);
  }
  void TearDown() override {
    if (mounted_) EXPECT_STATUS(mounted_->Stop());
  }

  std::string Path(const std::string& name) const { return mounted_->path() + "/" + name; }
  // Invalid, with errno, where it fails.
  UniqueFd Open(const std::string& name, int flags) const {
    return UniqueFd(::open(Path(name).c_str(), flags | O_CLOEXEC, 0644));
  }
  nlohmann::json Usage() const { return UsageOfMount(mounted_->cluster().directory()); }

  std::unique_ptr<MountedCluster> mounted_;
};

TEST_P(OpenFileCaps, OneMoreOpenFileThanMayBeIsEnfile) {
  constexpr size_t kMost = 40;
  Start("max_open=" + std::to_string(kMost));
  // Closed files never stand in the way, though they are kept for a next open.
  for (size_t i = 0; i < 3 * kMost; ++i) {
    const std::string name = std::to_string(i);
    const UniqueFd fd = Open(name, O_WRONLY | O_CREAT | O_EXCL);
    ASSERT_TRUE(fd) << name << ": " << std::strerror(errno);
    ASSERT_EQ(::write(fd.get(), name.data(), name.size()), static_cast<ssize_t>(name.size()));
  }
  std::vector<UniqueFd> open;
  for (size_t i = 0; i < kMost; ++i) {
    open.push_back(Open(std::to_string(i), i % 2 == 0 ? O_RDONLY : O_RDWR));
    ASSERT_TRUE(open.back()) << i << ": " << std::strerror(errno);
  }
  EXPECT_FALSE(Open("100", O_RDONLY));
  EXPECT_EQ(errno, ENFILE);
  EXPECT_FALSE(Open("new", O_WRONLY | O_CREAT));
  EXPECT_EQ(errno, ENFILE);
  struct stat st;
  EXPECT_EQ(::stat(Path("new").c_str(), &st), -1) << "what could not be opened is not left behind";
  EXPECT_EQ(errno, ENOENT);
  EXPECT_EQ(::truncate(Path("100").c_str(), 0), -1);
  EXPECT_EQ(errno, ENFILE);
  EXPECT_TRUE(Open("0", O_RDONLY)) << "of a file that is open there may be any number";
  const auto usage = Usage();
  EXPECT_EQ(usage["open"]["used"], kMost);
  EXPECT_EQ(usage["open"]["max"], kMost);
  EXPECT_EQ(mounted_->LoggedLines("(max_open)").size(), 1u) << "one line a second says it";

  open.erase(open.begin());
  // The kernel tells of a close a moment after it.
  UniqueFd again;
  EXPECT_TRUE(Eventually([&] { return static_cast<bool>(again = Open("100", O_RDONLY)); }));
  char bytes[8];
  EXPECT_EQ(::read(again.get(), bytes, sizeof bytes), 3);
  open.clear();
  again.reset();
  EXPECT_TRUE(Eventually([&] { return Usage()["open"]["used"] == 0; }));
  EXPECT_TRUE(Open("new", O_WRONLY | O_CREAT)) << std::strerror(errno);
}

INSTANTIATE_TEST_SUITE_P(Shapes, OpenFileCaps, testing::Values(Shape::kEmbedded, Shape::kDaemon),
                         [](const auto& info) { return std::string(ToString(info.param)); });

// Through the daemon every file takes a descriptor while it is read or written.
TEST(DescriptorCap, FewDescriptorsServeManyOpenFiles) {
  constexpr rlim_t kDescriptors = 256;
  constexpr size_t kFiles = 3 * kDescriptors;
  rlimit own{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &own), 0);
  own.rlim_cur = own.rlim_max;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &own), 0);
  auto cluster = TemporaryCluster::Create({});
  ASSERT_TRUE(cluster) << cluster.error().message();
  const std::string at = (*cluster)->scratch() / "mnt";
  ASSERT_STATUS(MakeDirectories(at));
  ASSERT_STATUS(RunOk({"prlimit", "--nofile=" + std::to_string(kDescriptors), Program("mount.pxfs"),
                       (*cluster)->directory(), at, "-o", "passthrough=off"}));
  const auto records = ListMountRecords((*cluster)->directory() + "/run");
  ASSERT_EQ(records.size(), 1u);
  const auto daemon = Process::Find(records[0].daemon_pid);
  ASSERT_TRUE(daemon) << daemon.error().message();
  {
    std::vector<UniqueFd> open;
    for (size_t i = 0; i < kFiles; ++i) {
      const std::string name = std::to_string(i);
      open.emplace_back(::open((at + "/" + name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
      ASSERT_TRUE(open.back()) << name << ": " << std::strerror(errno);
      ASSERT_EQ(::pwrite(open.back().get(), name.data(), name.size(), 0), ssize_t(name.size()));
    }
    for (size_t i = 0; i < kFiles; ++i) {
      const std::string name = std::to_string(i);
      ASSERT_EQ(::pwrite(open[i].get(), "+", 1, static_cast<off_t>(name.size())), 1) << name;
      if (i % 32 == 0) {
        ASSERT_EQ(::fsync(open[i].get()), 0) << name << ": " << std::strerror(errno);
      }
      char bytes[8];
      const ssize_t n = ::pread(open[i].get(), bytes, sizeof bytes, 0);
      ASSERT_GT(n, 0) << name << ": " << std::strerror(errno);
      EXPECT_EQ(std::string(bytes, static_cast<size_t>(n)), name + "+");
    }
    const auto usage = UsageOfMount((*cluster)->directory());
    EXPECT_EQ(usage["open"]["used"], kFiles);
    EXPECT_EQ(usage["descriptors"]["max"], kDescriptors / 2);
    EXPECT_LE(usage["descriptors"]["used"], kDescriptors / 2);
    EXPECT_GT(usage["descriptors"]["used"], kDescriptors / 4) << "they are made use of";
  }
  ASSERT_STATUS(RunOk({Program("umount.pxfs"), at}));
  EXPECT_TRUE(daemon->WaitForEnd(std::chrono::seconds(30)));
}

}  // namespace
}  // namespace pxfs::test
