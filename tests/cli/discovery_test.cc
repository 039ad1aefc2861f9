// Which cluster a command means, and which path in it.
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/cli/mounted_fixture.h"

namespace pxfs::test {
namespace {

using testing::HasSubstr;

class DiscoveryTest : public MountedCliTest {
 protected:
  // With neither --cluster nor PXFS_CLUSTER, and in a mount namespace that shows only the mounts
  // below the test's directory, so that other mounts of the machine do not matter.
  Outcome Bare(const Argv& arguments) {
    Argv argv = {"unshare",   "--mount", "--propagation", "private", "sh", "-c",
                 kHideOthers, "sh",      scratch_.path()};
    argv.push_back(Program("pxfs"));
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    const auto outcome = RunApart(argv, {"PXFS_CLUSTER="});
    EXPECT_TRUE(outcome) << (outcome ? "" : outcome.error().message());
    return outcome ? *outcome : Outcome{-1, "", ""};
  }
  static constexpr const char* kHideOthers = R"(own=$1; shift
    awk '$3 == "fuse.pxfs" { print $2 }' /proc/self/mounts | while read -r at; do
      case $at in "$own"/*) ;; *) umount -l "$at" ;; esac
    done
    exec "$@")";

  std::string NameOfCluster(const Outcome& outcome) {
    EXPECT_EQ(outcome.status, 0) << outcome.errors;
    const auto json = nlohmann::json::parse(outcome.output, nullptr, false);
    return json.is_discarded() ? "" : json["cluster"]["name"].get<std::string>();
  }
};

TEST_F(DiscoveryTest, ByOptionEnvironmentAndTheOnlyMount) {
  PxfsOk({"format", cluster_, "--name", "first", "--volume", Volume(1)});
  const std::string other = scratch_ / "other";
  PxfsOk({"format", other, "--name", "second", "--volume", Volume(2)});

  ExpectOneLine(Bare({"status"}).errors, {"--cluster DIR", "PXFS_CLUSTER"});
  EXPECT_EQ(Bare({"status"}).status, 1);
  EXPECT_EQ(NameOfCluster(Bare({"status", "--json", "--cluster", cluster_})), "first");
  EXPECT_EQ(NameOfCluster(Bare({"--cluster", cluster_, "status", "--json"})), "first");
  EXPECT_EQ(NameOfCluster(PxfsWith({"PXFS_CLUSTER=" + other}, {"status", "--json"})), "second");
  // The option goes before the environment.
  EXPECT_EQ(NameOfCluster(
                PxfsWith({"PXFS_CLUSTER=" + other}, {"status", "--json", "--cluster", cluster_})),
            "first");

  MountCluster();
  EXPECT_EQ(NameOfCluster(Bare({"status", "--json"})), "first");
  auto second = Mount::Start(other, scratch_ / "mnt2", "");
  ASSERT_TRUE(second) << second.error().message();
  const Outcome ambiguous = Bare({"status"});
  EXPECT_EQ(ambiguous.status, 1);
  ExpectOneLine(ambiguous.errors, {"2 clusters are mounted", "--cluster"});
  EXPECT_STATUS((*second)->Stop());
}

TEST_F(DiscoveryTest, ByAPathInsideAMount) {
  PxfsOk({"format", cluster_, "--name", "first", "--volume", Volume(1)});
  const std::string other = scratch_ / "other", second_mnt = scratch_ / "mnt2";
  PxfsOk({"format", other, "--name", "second", "--volume", Volume(2)});
  MountCluster();
  auto second = Mount::Start(other, second_mnt, "");
  ASSERT_TRUE(second) << second.error().message();
  std::filesystem::create_directories(second_mnt + "/dir");
  WriteText(second_mnt + "/dir/file", "x");
  ASSERT_EQ(::mkfifo((second_mnt + "/dir/fifo").c_str(), 0600), 0);
  ASSERT_EQ(::symlink("dir/file", (second_mnt + "/link").c_str()), 0);
  ASSERT_EQ(::symlink((second_mnt + "/dir").c_str(), (scratch_ / "into").c_str()), 0);
  ASSERT_EQ(::symlink("/etc/passwd", (second_mnt + "/outside").c_str()), 0);

  const auto path_of = [&](const std::string& path) {
    const Outcome outcome = Bare({"info", path, "--json"});
    EXPECT_EQ(outcome.status, 0) << outcome.errors;
    const auto json = nlohmann::json::parse(outcome.output, nullptr, false);
    return json.is_discarded() ? "" : json["path"].get<std::string>();
  };
  EXPECT_EQ(path_of(second_mnt), "/");
  EXPECT_EQ(path_of(second_mnt + "/dir/"), "/dir");
  EXPECT_EQ(path_of(second_mnt + "/dir/file"), "/dir/file");
  EXPECT_EQ(path_of(second_mnt + "/dir/../dir/./file"), "/dir/file");
  EXPECT_EQ(path_of(second_mnt + "/dir/fifo"), "/dir/fifo");
  EXPECT_EQ(path_of(second_mnt + "/link"), "/dir/file");
  EXPECT_EQ(path_of(scratch_ / "into/file"), "/dir/file");

  const auto refused = [&](const std::string& path, const std::vector<std::string>& words) {
    const Outcome outcome = Bare({"info", path, "--cluster", other});
    EXPECT_EQ(outcome.status, 1) << path;
    ExpectOneLine(outcome.errors, words);
  };
  refused(second_mnt + "/dir/none", {second_mnt + "/dir/none", "no such file"});
  refused(second_mnt + "/none/none", {second_mnt + "/none/none", "no such file"});
  refused(second_mnt + "/outside", {second_mnt + "/outside", "not inside a pxfs mount"});
  refused("/etc/passwd", {"/etc/passwd", "not inside a pxfs mount", "pxfs:/PATH"});
  refused(mnt_, {mnt_, "lies in a mount of the cluster " + cluster_, "--cluster " + cluster_});
  EXPECT_STATUS((*second)->Stop());
}

TEST_F(DiscoveryTest, PathsFromTheRootOfTheNamespace) {
  FormatAndMount(1);
  std::filesystem::create_directories(mnt_ + "/a/b");
  WriteText(mnt_ + "/a/b/file", "x");
  EXPECT_EQ(PxfsJson({"where", "pxfs:/a/b/file"}), PxfsJson({"where", mnt_ + "/a/b/file"}));
  EXPECT_EQ(PxfsJson({"where", "-r", "pxfs:/"}).size(), 1u);
  ExpectRefused({"info", "pxfs:a"}, 1, {"pxfs:/PATH"});
  ExpectRefused({"info", "pxfs:/a/none"}, 1, {"pxfs:/a/none", "no such file"});
  ExpectRefused({"info", "pxfs:/a/b/file/none"}, 1, {"pxfs:/a/b/file/none", "not a directory"});
  // The same without a mount: the command opens the store itself.
  Unmount();
  EXPECT_EQ(PxfsJson({"where", "pxfs:/a/b/file"})[0]["path"], "/a/b/file");
}

TEST_F(DiscoveryTest, AMountOfASubdirectoryShowsWholePaths) {
  FormatAndMount(1);
  std::filesystem::create_directories(mnt_ + "/a/b");
  WriteText(mnt_ + "/a/b/file", "x");
  auto part = Mount::Start(cluster_, scratch_ / "part", "subdir=a");
  ASSERT_TRUE(part) << part.error().message();
  EXPECT_EQ(PxfsJson({"where", (*part)->path() + "/b/file"})[0]["path"], "/a/b/file");
  EXPECT_EQ(PxfsJson({"info", (*part)->path()})["path"], "/a");
  EXPECT_STATUS((*part)->Stop());
}

}  // namespace
}  // namespace pxfs::test
