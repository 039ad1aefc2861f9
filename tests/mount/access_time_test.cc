// The options of a mount that rule access times (noatime, relatime, strictatime, nodiratime) do on
// pxfs what they do on ext4: given when it is mounted, by a remount, and after its daemon was
// killed.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>

#include <string>

#include "base/cluster_directory.h"
#include "base/unique_fd.h"
#include "tests/mount/scenario.h"
#include "tests/support/eventually.h"
#include "tests/support/mount_table.h"
#include "tests/support/mounted_cluster.h"

namespace pxfs::test {
namespace {

struct Rule {
  const char* options;
  unsigned long flags;
  // A scenario that must differ: Linux lists a directory again from its cache, without asking.
  std::string_view differs = "";
};
constexpr Rule kRules[] = {
    {"relatime", MS_RELATIME},
    {"noatime", MS_NOATIME},
    {"strictatime", MS_STRICTATIME, "AccessTimeOfADirectory"},
    {"strictatime,nodiratime", MS_STRICTATIME | MS_NODIRATIME},
    {"relatime,nodiratime", MS_RELATIME | MS_NODIRATIME},
};

// A directory of ext4, reached by a mount with options of its own.
class BoundDirectory {
 public:
  static Result<std::unique_ptr<BoundDirectory>> Make(const std::string& directory,
                                                      const std::string& at) {
    PXFS_TRY(MakeDirectories(at));
    if (::mount(directory.c_str(), at.c_str(), nullptr, MS_BIND, nullptr) != 0)
      return FailErrno(errno, "binding " + at);
    return std::unique_ptr<BoundDirectory>(new BoundDirectory(at));
  }
  ~BoundDirectory() { EXPECT_EQ(::umount(at_.c_str()), 0) << at_; }
  Status Apply(const Rule& rule) {
    if (::mount(nullptr, at_.c_str(), nullptr, MS_REMOUNT | MS_BIND | rule.flags, nullptr) != 0)
      return FailErrno(errno, "remounting " + at_);
    return {};
  }
  const std::string& path() const { return at_; }

 private:
  explicit BoundDirectory(std::string at) : at_(std::move(at)) {}
  const std::string at_;
};

class AccessTime : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    MountedOptions options;
    options.options = std::string("passthrough=") + GetParam() + ",noatime";
    options.cluster.ext4_image = true;
    auto mounted = MountedCluster::Start(options);
    ASSERT_TRUE(mounted) << mounted.error().message();
    mounted_ = std::move(*mounted);
    const auto& cluster = mounted_->cluster();
    auto native = BoundDirectory::Make(cluster.native(), cluster.scratch() / "native");
    ASSERT_TRUE(native) << native.error().message();
    native_ = std::move(*native);
  }
  void TearDown() override {
    native_.reset();
    if (mounted_) EXPECT_STATUS(mounted_->Stop());
  }

  void Remount(const Rule& rule) {
    ASSERT_STATUS(native_->Apply(rule));
    ASSERT_EQ(::mount(nullptr, mounted_->path().c_str(), nullptr, MS_REMOUNT | rule.flags, nullptr),
              0);
  }

  // What differs in the scenarios on access times; empty where nothing does but what must.
  std::string Compare(std::string_view differs = "") {
    std::string all;
    size_t scenarios = 0;
    for (const Scenario& scenario : Scenarios()) {
      if (!std::string(scenario.name).starts_with("AccessTime")) continue;
      ++scenarios;
      auto native = RunScenario(scenario, native_->path());
      auto other = RunScenario(scenario, mounted_->path());
      EXPECT_TRUE(native) << native.error().message();
      EXPECT_TRUE(other) << other.error().message();
      if (!native || !other) return "could not be compared";
      const std::string differences = Differences(*native, *other);
      if (scenario.name == differs) {
        EXPECT_FALSE(differences.empty()) << "no longer so, mend the table";
        continue;
      }
      if (!differences.empty()) all += std::string(scenario.name) + ":\n" + differences;
    }
    EXPECT_GE(scenarios, 4u);
    return all;
  }

  std::unique_ptr<MountedCluster> mounted_;
  std::unique_ptr<BoundDirectory> native_;
};

TEST_P(AccessTime, IsRuledByTheMount) {
  // As it was mounted.
  ASSERT_STATUS(native_->Apply({"noatime", MS_NOATIME}));
  EXPECT_EQ(Compare(), "");
}

TEST_P(AccessTime, IsRuledByARemount) {
  for (const Rule& rule : kRules) {
    ASSERT_NO_FATAL_FAILURE(Remount(rule));
    // The daemon is told by nobody; it sees it in the mount table.
    std::string differences;
    EXPECT_TRUE(Eventually([&] { return (differences = Compare(rule.differs)).empty(); },
                           std::chrono::seconds(5)))
        << rule.options << ":\n"
        << differences;
  }
}

// Remounted, so that what the mount was made with does not count any more.
TEST_P(AccessTime, IsRuledByTheMountWhenItsDaemonWasKilled) {
  ASSERT_NO_FATAL_FAILURE(Remount({"strictatime,nodiratime", MS_STRICTATIME | MS_NODIRATIME}));
  ASSERT_EQ(::kill(mounted_->mount().record().daemon_pid, SIGKILL), 0);
  EXPECT_EQ(Compare(), "");
}

INSTANTIATE_TEST_SUITE_P(Passthrough, AccessTime, testing::Values("on", "off"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pxfs::test
