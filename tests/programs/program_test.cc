// Runs $PXFS_SCRIPT on a mount in the shape $PXFS_SHAPE with the options $PXFS_OPTIONS. The script
// gets two empty directories: one on the mount, and one on the native file system that the volumes
// lie on.

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/support/mounted_cluster.h"

namespace pxfs::test {
namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

TEST(Program, WorksOnTheMount) {
  const std::string script = Variable("PXFS_SCRIPT"), shape = Variable("PXFS_SHAPE");
  ASSERT_FALSE(script.empty()) << "PXFS_SCRIPT names the script (ctest sets it)";
  ASSERT_TRUE(shape == "embedded" || shape == "daemon") << "PXFS_SHAPE=" << shape;
  MountedOptions options;
  options.shape = shape == "daemon" ? Shape::kDaemon : Shape::kEmbedded;
  options.options = Variable("PXFS_OPTIONS");
  options.cluster.ext4_image = true;
  auto mounted = MountedCluster::Start(options);
  ASSERT_TRUE(mounted) << mounted.error().message();
  const std::string work = (*mounted)->path() + "/work";
  ASSERT_STATUS(MakeDirectories(work));

  const auto outcome = RunProgram({"bash", script, work, (*mounted)->cluster().native()}, {},
                                  std::chrono::seconds(570));
  ASSERT_TRUE(outcome) << outcome.error().message();
  EXPECT_EQ(outcome->status, 0) << outcome->output;
  // What it wrote must be there in another life of the mount too.
  const std::string digest =
      "cd " + work + " && find . -printf '%p %m %s %l\\n' | sort | sha256sum";
  const auto before = RunProgram({"bash", "-c", digest});
  EXPECT_STATUS((*mounted)->Stop());
  ASSERT_STATUS((*mounted)->Restart());
  const auto after = RunProgram({"bash", "-c", digest});
  ASSERT_TRUE(before && after);
  EXPECT_EQ(before->output, after->output)
      << "the tree is another one after unmounting and mounting again";
  EXPECT_STATUS((*mounted)->Stop());
}

}  // namespace
}  // namespace pxfs::test
