// Every scenario on a native ext4 directory and on the other side, which must give the same lines.
//
// $PXFS_COMPARE says what the other side is: `embedded` or `daemon` (a pxfs mount in that shape,
// with the options of $PXFS_COMPARE_OPTIONS), or `native`, a second directory of the same file
// system: what differs then is a scenario that depends on something else than the file system.
//
// To run one scenario: PXFS_BIN=build/release/bin PXFS_COMPARE=embedded
// build/release/bin/compare_test
// --gtest_filter='*RenameExchange'

#include <gtest/gtest.h>

#include <cstdlib>
#include <ostream>
#include <string>

#include "tests/mount/scenario.h"
#include "tests/support/mounted_cluster.h"

namespace pxfs::test {

// What gtest shows of a scenario.
void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.name; }

namespace {

std::string Variable(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value && *value ? value : otherwise;
}

// The two sides, made once for all scenarios.
class Sides : public testing::Environment {
 public:
  void SetUp() override {
    const std::string other = Variable("PXFS_COMPARE", "native");
    if (other == "native" || other[0] == '/') {
      auto image = LoopImage::Create(scratch_ / "disk.img", scratch_ / "disk", 4ull << 30);
      ASSERT_TRUE(image) << image.error().message();
      image_ = std::move(*image);
      native_ = image_->path() + "/native";
      other_ = other == "native" ? image_->path() + "/other" : other;
      ASSERT_STATUS(MakeDirectories(native_));
      ASSERT_STATUS(MakeDirectories(other_));
      return;
    }
    ASSERT_TRUE(other == "embedded" || other == "daemon") << "PXFS_COMPARE=" << other;
    MountedOptions options;
    options.shape = other == "daemon" ? Shape::kDaemon : Shape::kEmbedded;
    options.options = Variable("PXFS_COMPARE_OPTIONS", "passthrough=auto");
    options.cluster.ext4_image = true;
    auto mounted = MountedCluster::Start(options);
    ASSERT_TRUE(mounted) << mounted.error().message();
    mounted_ = std::move(*mounted);
    native_ = mounted_->cluster().native();
    other_ = mounted_->path();
    if (options.options == "passthrough=on") {
      EXPECT_TRUE(mounted_->mount().record().passthrough);
    } else if (options.options == "passthrough=off") {
      EXPECT_FALSE(mounted_->mount().record().passthrough);
    }
  }
  void TearDown() override {
    if (mounted_) {
      EXPECT_STATUS(mounted_->Stop());
    }
    mounted_.reset();
    image_.reset();
  }

  const std::string& native() const { return native_; }
  const std::string& other() const { return other_; }
  bool is_mount() const { return mounted_ != nullptr; }
  bool passthrough() const { return mounted_ && mounted_->mount().record().passthrough; }

 private:
  TemporaryDirectory scratch_;
  std::unique_ptr<LoopImage> image_;
  std::unique_ptr<MountedCluster> mounted_;
  std::string native_, other_;
};

Sides* g_sides = nullptr;

// What differs on a mount for a reason that lies outside of pxfs, or by decision, so that a change
// of it is noticed too.
struct KnownDifference {
  const char* scenario;
  bool passthrough;  // only with passthrough
  const char* reason;
};
constexpr KnownDifference kKnownDifferences[] = {
    {"CornerWhiteouts", false,
     "pxfs makes no whiteouts: they serve the upper layer of an overlay, which Linux does not let "
     "a "
     "FUSE file system be"},
    {"DataDirectTurnedOff", true, "as OpenAppendTurnedOff, for O_DIRECT"},
    {"DataWithoutWaiting", false, "Linux refuses RWF_NOWAIT on FUSE: EOPNOTSUPP"},
    {"DataFallocateShift", false,
     "Linux does not pass FALLOC_FL_COLLAPSE_RANGE and FALLOC_FL_INSERT_RANGE on to a FUSE file "
     "system"},
    {"OpenAppendTurnedOff", true,
     "Linux opens the backing file with the flags of open(2) and does not tell it of a later "
     "fcntl(F_SETFL)"},
    {"FileFlagsWithoutMeaning", false,
     "pxfs keeps no other flags than immutable and append-only, so it refuses them rather than "
     "forget them; and Linux does not ask a FUSE file system for flags when it answers access(2)"},
    {"IdentityIdmappedMount", false,
     "where a FUSE file system allows idmapped mounts, Linux tells it the caller of creations "
     "only, "
     "and pxfs goes by the caller of other requests too"},
    {"SetIdAllAndWritingByThePrivileged", false,
     "Linux sends the same empty SETATTR for a chown to nobody, which clears the set-id bits, and "
     "before a write to a file with capabilities, which keeps them if the writer has CAP_FSETID"},
};

const KnownDifference* KnownDifferenceOf(const Scenario& scenario) {
  for (const KnownDifference& known : kKnownDifferences) {
    if (std::string(known.scenario) == scenario.name && g_sides->is_mount() &&
        (!known.passthrough || g_sides->passthrough()))
      return &known;
  }
  return nullptr;
}

class Compare : public testing::TestWithParam<Scenario> {};

TEST_P(Compare, GivesTheSame) {
  ASSERT_FALSE(g_sides->other().empty()) << "the sides could not be set up";
  const auto native = RunScenario(GetParam(), g_sides->native());
  ASSERT_TRUE(native) << native.error().message();
  const auto other = RunScenario(GetParam(), g_sides->other());
  ASSERT_TRUE(other) << other.error().message();
  EXPECT_GT(native->size(), 2u) << "the scenario did nothing";
  const std::string differences = Differences(*native, *other);
  if (const KnownDifference* known = KnownDifferenceOf(GetParam())) {
    EXPECT_FALSE(differences.empty()) << "no longer so, mend the table: " << known->reason;
    return;
  }
  EXPECT_TRUE(differences.empty()) << differences;
}

INSTANTIATE_TEST_SUITE_P(All, Compare, testing::ValuesIn(Scenarios()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace pxfs::test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  pxfs::test::g_sides = new pxfs::test::Sides;
  testing::AddGlobalTestEnvironment(pxfs::test::g_sides);  // owns it
  return RUN_ALL_TESTS();
}
