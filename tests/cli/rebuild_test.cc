// pxfs fsck --rebuild: a namespace from the volumes alone, of the copies of the metadata that they
// hold and of what objects say.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/bytes.h"
#include "tests/cli/mounted_fixture.h"
#include "tests/support/long_run.h"
#include "tests/support/tree_digest.h"
#include "volumes/identity.h"
#include "volumes/metadata_copy.h"
#include "volumes/origin.h"

namespace pxfs::test {
namespace {

using testing::HasSubstr;

class RebuildTest : public MountedCliTest {
 protected:
  // One of everything that metadata can hold.
  void MakeTree() {
    const std::string top = mnt_ + "/tree";
    std::filesystem::create_directories(top + "/deep/empty");
    for (int i = 0; i < 60; ++i)
      WriteText(top + "/deep/file" + std::to_string(i), std::string(i * 117, 'x'));
    std::filesystem::create_hard_link(top + "/deep/file3", top + "/other name");
    std::filesystem::create_symlink("deep/file4", top + "/link");
    ASSERT_EQ(::mkfifo((top + "/fifo").c_str(), 0640), 0);
    ASSERT_EQ(::setxattr((top + "/deep/file5").c_str(), "user.note", "kept", 4, 0), 0);
    ASSERT_EQ(::chown((top + "/deep/file6").c_str(), 1234, 4321), 0);
  }
  std::map<std::string, std::string> Digest() {
    const auto digest = DigestTree(mnt_ + "/tree");
    EXPECT_TRUE(digest) << (digest ? "" : digest.error().message());
    return digest ? *digest : std::map<std::string, std::string>();
  }
  std::string CopyOn(int volume) const { return Volume(volume) + "/" + volumes::kMetadataCopyFile; }
  // As if the last copy, or the volume, were an hour and a half old: the end of a mount copies.
  void MakeCopyDue() {
    const timespec old{::time(nullptr) - 5400, 0};
    const timespec times[2] = {old, old};
    for (int volume = 1; volume <= 2; ++volume) {
      const std::string copy = CopyOn(volume);
      const std::string identity = Volume(volume) + "/" + volumes::kIdentityFile;
      for (const std::string& file : {copy, identity}) {
        if (std::filesystem::exists(file)) {
          ASSERT_EQ(::utimensat(AT_FDCWD, file.c_str(), times, 0), 0) << file;
        }
      }
    }
  }
  // A cluster with the tree, and copies of its metadata.
  void Prepare() {
    Format(2);
    MountCluster();
    MakeTree();
    before_ = Digest();
    MakeCopyDue();
    Unmount();
    ASSERT_TRUE(std::filesystem::exists(CopyOn(1)));
    ASSERT_TRUE(std::filesystem::exists(CopyOn(2)));
  }
  void LoseCluster() { std::filesystem::remove_all(cluster_); }
  Argv RebuildFrom(const std::vector<std::string>& roots) const {
    Argv arguments = {"fsck", "--rebuild", "--cluster", cluster_};
    for (const std::string& root : roots) {
      arguments.push_back("--volume");
      arguments.push_back(root);
    }
    return arguments;
  }
  nlohmann::json Rebuild(const std::vector<std::string>& roots, int status) {
    Argv arguments = RebuildFrom(roots);
    arguments.push_back("--json");
    const Outcome outcome = Pxfs(arguments);
    EXPECT_EQ(outcome.status, status) << outcome.output << outcome.errors;
    auto json = nlohmann::json::parse(outcome.output, nullptr, false);
    return json.is_discarded() ? nlohmann::json::object() : json;
  }
  void ExpectTree() {
    MountCluster();
    EXPECT_EQ(Digest(), before_);
    Unmount();
  }
  std::string ObjectOf(const std::string& path) {
    const auto location = nlohmann::json::parse(Xattr(path, "user.pxfs.location"), nullptr, false);
    EXPECT_TRUE(location.is_object()) << path;
    return location["replicas"][0]["object"];
  }

  std::map<std::string, std::string> before_;
};

TEST_F(RebuildTest, ALostClusterDirectoryIsMadeAnewOfOneVolumeThatNamesTheOthers) {
  Prepare();
  LoseCluster();
  Argv dry_run = RebuildFrom({Volume(1)});
  dry_run.push_back("--dry-run");
  const Outcome said = Pxfs(dry_run);
  EXPECT_EQ(said.status, 1) << said.errors;
  EXPECT_THAT(said.output, HasSubstr("would be rebuilt"));
  EXPECT_FALSE(std::filesystem::exists(cluster_));
  const auto report = Rebuild({Volume(1)}, 1);
  EXPECT_EQ(report["volumes"], 2);
  EXPECT_EQ(report["files"], 60);
  EXPECT_EQ(report["lost_and_found"], 0);
  EXPECT_EQ(Pxfs({"fsck"}).output, "clean\n");
  ExpectTree();
}

TEST_F(RebuildTest, VolumesThatHaveMovedAreFoundWhereTheyAreGiven) {
  Prepare();
  LoseCluster();
  const std::string moved = scratch_ / "elsewhere";
  std::filesystem::rename(Volume(2), moved);
  EXPECT_EQ(Rebuild({Volume(1), moved}, 1)["volumes"], 2);
  ExpectTree();
}

TEST_F(RebuildTest, WhatIsNewerThanTheCopyIsTakenFromTheObjects) {
  Prepare();
  WriteText(scratch_ / "source", "ingested");
  MountCluster();
  const std::string top = mnt_ + "/tree";
  WriteText(top + "/deep/file1", "written again, and longer than before");
  ASSERT_EQ(::chmod((top + "/deep/file2").c_str(), 0604), 0);
  ASSERT_EQ(::unlink((top + "/deep/file9").c_str()), 0);
  WriteText(top + "/nameless", "without a back-pointer");
  const uint64_t nameless = [&] {
    struct stat st;
    return ::stat((top + "/nameless").c_str(), &st) == 0 ? st.st_ino : 0;
  }();
  std::filesystem::create_directories(top + "/new/dir");
  for (const char* name : {"found", "taken", "damaged"})
    PxfsOk({"ingest", scratch_ / "source", top + "/new/dir/" + name});
  struct stat taken;
  ASSERT_EQ(::stat((top + "/new/dir/taken").c_str(), &taken), 0);
  const std::string pointer = ToHex(taken.st_ino) + " /tree/deep/file4";
  const std::string taken_object = ObjectOf(top + "/new/dir/taken");
  const std::string damaged_object = ObjectOf(top + "/new/dir/damaged");
  Unmount();
  ASSERT_EQ(
      ::setxattr(taken_object.c_str(), volumes::OriginXattr(), pointer.data(), pointer.size(), 0),
      0);
  ASSERT_EQ(::setxattr(damaged_object.c_str(), volumes::OriginXattr(), "zzz", 3, 0), 0);
  LoseCluster();
  const auto report = Rebuild({Volume(1)}, 4);
  EXPECT_EQ(report["updated"], 2);
  EXPECT_EQ(report["found_by_path"], 2);
  EXPECT_EQ(report["conflicts"], 1);
  EXPECT_EQ(report["lost_and_found"], 2);
  ASSERT_EQ(report["lost"].size(), 1u) << report;
  EXPECT_EQ(report["lost"][0]["path"], "/tree/deep/file9");
  EXPECT_EQ(report["problems"].size(), 1u) << report;
  MountCluster();
  EXPECT_EQ(ReadText(top + "/deep/file1"), "written again, and longer than before");
  struct stat changed;
  ASSERT_EQ(::stat((top + "/deep/file2").c_str(), &changed), 0);
  EXPECT_EQ(changed.st_mode & 07777, 0604u);
  EXPECT_EQ(ReadText(top + "/new/dir/found"), "ingested");
  EXPECT_EQ(ReadText(top + "/deep/file4#" + ToHex(taken.st_ino)), "ingested");
  EXPECT_EQ(ReadText(top + "/deep/file4").size(), 4u * 117);
  EXPECT_EQ(ReadText(mnt_ + "/lost+found/#" + ToHex(nameless)), "without a back-pointer");
  EXPECT_EQ(Entries(mnt_ + "/lost+found").size(), 2u);
  Unmount();
}

TEST_F(RebuildTest, WithoutACopyObjectsOfIngestedFilesGiveTheirPaths) {
  Format(2);
  std::filesystem::create_directories(scratch_ / "source/a/b");
  for (int i = 0; i < 20; ++i)
    WriteText(scratch_ / "source/a/b/file" + std::to_string(i), std::to_string(i));
  MountCluster();
  PxfsOk({"ingest", scratch_ / "source", mnt_ + "/tree"});
  WriteText(mnt_ + "/tree/nameless", "x");
  DigestOptions without_times;
  without_times.times = false;
  auto before = DigestTree(mnt_ + "/tree", without_times);
  Unmount();
  LoseCluster();
  const auto report = Rebuild({Volume(1), Volume(2)}, 1);
  EXPECT_EQ(report["copy"], "");
  EXPECT_EQ(report["found_by_path"], 20);
  EXPECT_EQ(report["lost_and_found"], 1);
  MountCluster();
  auto after = DigestTree(mnt_ + "/tree", without_times);
  ASSERT_TRUE(before && after);
  before->erase("nameless");
  EXPECT_EQ(*after, *before);
  // New files never meet the objects that were there.
  WriteText(mnt_ + "/tree/new", "new");
  EXPECT_EQ(ReadText(mnt_ + "/tree/new"), "new");
  Unmount();
  EXPECT_EQ(Pxfs({"fsck"}).output, "clean\n");
}

TEST_F(RebuildTest, ARebuildThatWasKilledIsDoneAgain) {
  Prepare();
  LoseCluster();
  int killed = 0;
  const int step_ms = LongRun() ? 5 : 60;
  for (int ms = 2; ms < 240; ms += step_ms) {
    Argv arguments = RebuildFrom({Volume(1)});
    const Argv limit = {"timeout", "-s", "KILL", std::to_string(ms / 1000.0), Program("pxfs")};
    arguments.insert(arguments.begin(), limit.begin(), limit.end());
    const auto outcome = RunApart(arguments);
    ASSERT_TRUE(outcome) << outcome.error().message();
    killed += outcome->status != 1;
  }
  EXPECT_GT(killed, 0);
  Rebuild({Volume(1)}, 1);
  EXPECT_EQ(Pxfs({"fsck"}).output, "clean\n");
  EXPECT_FALSE(std::filesystem::exists(cluster_ + ".rebuild"));
  ExpectTree();
}

TEST_F(RebuildTest, WhatCannotBeIsRefusedAndChangesNothing) {
  Prepare();
  const std::string other = scratch_ / "other";
  PxfsOk({"format", other, "--volume", scratch_ / "v9"});
  ExpectRefused(RebuildFrom({Volume(1), scratch_ / "v9"}), 8, {"v9", "of cluster"});
  ExpectRefused(RebuildFrom({scratch_ / "nothing"}), 8, {"nothing"});
  ExpectRefused({"fsck", "--rebuild", "--cluster", other, "--volume", Volume(1)}, 8, {other});
  ExpectRefused({"fsck", "--rebuild", "--cluster", cluster_}, 2, {"--volume"});
  MountCluster();
  ExpectRefused(RebuildFrom({Volume(1)}), 8, {"in use"});
  Unmount();
  ExpectTree();
}

TEST_F(RebuildTest, ADamagedCopyIsPassedOver) {
  Prepare();
  LoseCluster();
  ASSERT_EQ(::truncate(CopyOn(1).c_str(), 300), 0);
  const auto report = Rebuild({Volume(1), Volume(2)}, 4);
  EXPECT_EQ(report["copy"], CopyOn(2));
  EXPECT_EQ(report["problems"].size(), 1u) << report;
  ExpectTree();
}

}  // namespace
}  // namespace pxfs::test
