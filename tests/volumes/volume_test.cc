#include "volumes/volume.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/json_file.h"
#include "tests/support/temporary_directory.h"
#include "volumes/identity.h"

namespace pxfs::volumes {
namespace {

namespace fs = std::filesystem;

const VolumeIdentity kIdentity{"cluster-a", "volume-a", "v1"};
const ObjectName kObject{InodeId(0x1a), 1};

std::string ErrorOf(const Status& status) { return status ? "" : status.error().message(); }

void WriteText(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
  ASSERT_TRUE(fs::exists(path));
}

class VolumeTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Volume::Format(root_, kIdentity));
    auto opened = Volume::Open(VolumeId(1), root_, kIdentity);
    ASSERT_TRUE(opened) << opened.error().message();
    volume_ = *opened;
  }

  Error OpenError(const VolumeIdentity& expected) {
    const auto opened = Volume::Open(VolumeId(1), root_, expected);
    EXPECT_FALSE(opened);
    return opened ? Error(Code::kIo, "opened") : opened.error();
  }

  test::TemporaryDirectory temporary_;
  const std::string root_ = temporary_ / "v1";
  std::shared_ptr<Volume> volume_;
};

TEST_F(VolumeTest, FormatMakesAClosedTree) {
  struct stat st;
  for (const char* directory : {"/objects", "/staging", "/views"}) {
    ASSERT_EQ(::stat((root_ + directory).c_str(), &st), 0) << directory;
    EXPECT_EQ(st.st_mode & 07777, 0700u) << directory;
  }
}

TEST_F(VolumeTest, FormatRefusesAVolumeAndAFullDirectory) {
  auto again = Volume::Format(root_, {"cluster-b", "volume-b", "v2"});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), Code::kExists);
  EXPECT_NE(ErrorOf(again).find("cluster-a"), std::string::npos) << ErrorOf(again);

  fs::create_directory(temporary_ / "full");
  WriteText(temporary_ / "full/some file", "x");
  auto full = Volume::Format(temporary_ / "full", kIdentity);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code(), Code::kExists);
  EXPECT_NE(ErrorOf(full).find("some file"), std::string::npos) << ErrorOf(full);
  EXPECT_FALSE(fs::exists(temporary_ / "full/objects"));
}

TEST_F(VolumeTest, FormatTakesAFreshFileSystem) {
  fs::create_directories(temporary_ / "fresh/lost+found");
  EXPECT_TRUE(Volume::Format(temporary_ / "fresh", kIdentity));
}

TEST_F(VolumeTest, UnformatTakesItBackAndSparesObjects) {
  const ObjectOwner owner;
  ASSERT_TRUE(volume_->OpenObject(kObject, O_RDWR | O_CREAT, &owner));
  EXPECT_FALSE(Volume::Unformat(root_, kIdentity));
  EXPECT_TRUE(volume_->StatObject(kObject));
  ASSERT_TRUE(volume_->RemoveObject(kObject));
  volume_->PruneDirectory(kObject);
  EXPECT_EQ(Volume::Unformat(root_, {"cluster-b", "volume-a", "v1"}).error().code(),
            Code::kInvalid);
  ASSERT_TRUE(Volume::Unformat(root_, kIdentity));
  EXPECT_TRUE(fs::is_empty(root_));
}

TEST_F(VolumeTest, OpenTellsMissingFromForeign) {
  EXPECT_EQ(OpenError({"cluster-b", "volume-a", "v1"}).code(), Code::kInvalid);
  EXPECT_EQ(OpenError({"cluster-a", "volume-b", "v1"}).code(), Code::kInvalid);
  fs::remove(root_ + "/" + kIdentityFile);
  EXPECT_EQ(OpenError(kIdentity).code(), Code::kUnavailable);
  fs::remove_all(root_);
  EXPECT_EQ(OpenError(kIdentity).code(), Code::kUnavailable);
}

TEST_F(VolumeTest, OpenRefusesDamageAndNewerFormats) {
  const std::string file = root_ + "/" + kIdentityFile;
  for (const char* damaged :
       {"", "{", "[]", "{}", R"({"version":1})", R"({"version":1,"cluster":1,"volume":"x"})",
        R"({"version":"1","cluster":"a","volume":"b"})",
        R"({"version":0,"cluster":"a","volume":"b"})"}) {
    WriteText(file, damaged);
    EXPECT_EQ(OpenError(kIdentity).code(), Code::kCorruption) << damaged;
  }
  WriteText(file, R"({"version":2,"cluster":"cluster-a","volume":"volume-a"})");
  const Error newer = OpenError(kIdentity);
  EXPECT_EQ(newer.code(), Code::kInvalid);
  EXPECT_NE(newer.message().find("newer"), std::string::npos) << newer.message();
}

TEST(ObjectNameTest, ThousandToADirectory) {
  EXPECT_EQ((ObjectName{InodeId(1), 1}.RelativePath()), "objects/0/1-1");
  EXPECT_EQ((ObjectName{InodeId(0x1a), 2}.RelativePath()), "objects/0/1a-2");
  EXPECT_EQ((ObjectName{InodeId(1024), 16}.RelativePath()), "objects/1/400-10");
  EXPECT_EQ((ObjectName{InodeId(UINT64_MAX), UINT64_MAX}.RelativePath()),
            "objects/3fffffffffffff/ffffffffffffffff-ffffffffffffffff");
}

TEST_F(VolumeTest, ObjectsHaveTheirInodesOwnerWhateverTheUmask) {
  const mode_t umask_before = ::umask(0777);
  const ObjectOwner owner{12, 34, 06754};
  const auto fd = volume_->OpenObject(kObject, O_RDWR | O_CREAT, &owner);
  ::umask(umask_before);
  ASSERT_TRUE(fd) << fd.error().message();
  const auto st = volume_->StatObject(kObject);
  ASSERT_TRUE(st);
  EXPECT_EQ(st->st_mode & 07777, 06754u);
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  EXPECT_EQ(st->st_uid, 12u);
  EXPECT_EQ(st->st_gid, 34u);

  ASSERT_TRUE(volume_->SetOwner(kObject, {56, 78, 04711}));
  const auto changed = volume_->StatObject(kObject);
  EXPECT_EQ(changed->st_uid, 56u);
  EXPECT_EQ(changed->st_gid, 78u);
  EXPECT_EQ(changed->st_mode & 07777, 04711u);
}

TEST_F(VolumeTest, OpeningAnExistingObjectLeavesItAsItIs) {
  const ObjectOwner first{::geteuid(), ::getegid(), 0640}, second{::geteuid(), ::getegid(), 0600};
  auto fd = volume_->OpenObject(kObject, O_RDWR | O_CREAT, &first);
  ASSERT_TRUE(fd);
  ASSERT_TRUE(WriteAll(fd->get(), "content"));
  ASSERT_TRUE(volume_->OpenObject(kObject, O_RDWR | O_CREAT, &second));
  const auto st = volume_->StatObject(kObject);
  EXPECT_EQ(st->st_mode & 07777, 0640u);
  EXPECT_EQ(st->st_size, 7);
  EXPECT_EQ(volume_->OpenObject(kObject, O_RDWR | O_CREAT | O_EXCL, &second).error().code(),
            Code::kExists);
}

TEST_F(VolumeTest, AnObjectThatIsNotThere) {
  EXPECT_EQ(volume_->OpenObject(kObject, O_RDONLY).error().code(), Code::kNotFound);
  EXPECT_EQ(volume_->StatObject(kObject).error().code(), Code::kNotFound);
  EXPECT_EQ(volume_->SetOwner(kObject, {}).error().code(), Code::kNotFound);
  EXPECT_EQ(volume_->SetTimes(kObject, {}, {}).error().code(), Code::kNotFound);
  EXPECT_TRUE(volume_->RemoveObject(kObject));
  EXPECT_EQ(volume_->OpenObject(kObject, O_RDWR | O_CREAT).error().code(), Code::kInvalid);
}

TEST_F(VolumeTest, TimesToTheNanosecond) {
  const ObjectOwner owner;
  ASSERT_TRUE(volume_->OpenObject(kObject, O_RDWR | O_CREAT, &owner));
  const meta::Timestamp atime{-5, 123456789}, mtime{1700000000, 999999999};
  ASSERT_TRUE(volume_->SetTimes(kObject, atime, mtime));
  const meta::ContentState content = ContentOf(*volume_->StatObject(kObject));
  EXPECT_EQ(content.atime, atime);
  EXPECT_EQ(content.mtime, mtime);
}

TEST_F(VolumeTest, RemovalAndPruning) {
  const ObjectOwner owner;
  const ObjectName neighbour{InodeId(0x1b), 1};
  ASSERT_TRUE(volume_->OpenObject(kObject, O_RDWR | O_CREAT, &owner));
  ASSERT_TRUE(volume_->OpenObject(neighbour, O_RDWR | O_CREAT, &owner));
  ASSERT_TRUE(volume_->RemoveObject(kObject));
  volume_->PruneDirectory(kObject);
  EXPECT_TRUE(volume_->StatObject(neighbour));
  ASSERT_TRUE(volume_->RemoveObject(neighbour));
  volume_->PruneDirectory(neighbour);
  EXPECT_FALSE(fs::exists(root_ + "/objects/0"));
  EXPECT_TRUE(volume_->OpenObject(kObject, O_RDWR | O_CREAT, &owner));
}

TEST_F(VolumeTest, AdoptionByRename) {
  WriteText(root_ + "/staging/out", "result");
  ASSERT_TRUE(volume_->AdoptByRename(volume_->root_fd(), "staging/out", kObject));
  EXPECT_FALSE(fs::exists(root_ + "/staging/out"));
  EXPECT_EQ(volume_->StatObject(kObject)->st_size, 6);

  WriteText(root_ + "/staging/other", "x");
  EXPECT_EQ(volume_->AdoptByRename(volume_->root_fd(), "staging/other", kObject).error().code(),
            Code::kExists);
  EXPECT_EQ(volume_->StatObject(kObject)->st_size, 6);
  EXPECT_EQ(
      volume_->AdoptByRename(volume_->root_fd(), "staging/none", {InodeId(9), 1}).error().code(),
      Code::kNotFound);
}

TEST_F(VolumeTest, AdoptionByLink) {
  WriteText(temporary_ / "source", "shared");
  ASSERT_TRUE(volume_->AdoptByLink(AT_FDCWD, temporary_ / "source", kObject));
  struct stat source;
  ASSERT_EQ(::stat((temporary_ / "source").c_str(), &source), 0);
  EXPECT_EQ(volume_->StatObject(kObject)->st_ino, source.st_ino);
  EXPECT_EQ(volume_->AdoptByLink(AT_FDCWD, temporary_ / "source", kObject).error().code(),
            Code::kExists);
}

TEST_F(VolumeTest, OriginNamesInodeAndPath) {
  const ObjectOwner owner;
  const auto fd = volume_->OpenObject(kObject, O_RDWR | O_CREAT, &owner);
  const auto origin = [&] {
    char value[8192];
    const ssize_t n = ::fgetxattr(fd->get(), "trusted.pxfs.origin", value, sizeof value);
    return n < 0 ? std::string("none") : std::string(value, static_cast<size_t>(n));
  };
  const auto set = Volume::SetOrigin(fd->get(), InodeId(0x1a), "/data/file");
  if (!set && set.error() != Code::kNotSupported) GTEST_SKIP() << set.error().message();
  ASSERT_TRUE(set);
  EXPECT_EQ(origin(), "1a /data/file");
  ASSERT_TRUE(Volume::SetOrigin(fd->get(), InodeId(0x1a), "/" + std::string(4090, 'x')));
  EXPECT_THAT(origin(), testing::StartsWith("1a "));
}

TEST_F(VolumeTest, InspectShowsSpace) {
  const meta::VolumeReport report = volume_->Inspect();
  EXPECT_TRUE(report.usable) << report.problem;
  EXPECT_FALSE(report.read_only);
  EXPECT_EQ(report.volume, VolumeId(1));
  EXPECT_GT(report.total_bytes, 0u);
  EXPECT_LE(report.free_bytes, report.total_bytes);
  EXPECT_TRUE(volume_->Sync());
}

TEST_F(VolumeTest, InspectSeesTheIdentityGo) {
  fs::rename(root_ + "/" + kIdentityFile, temporary_ / "away");
  EXPECT_FALSE(volume_->Inspect().usable);
  fs::rename(temporary_ / "away", root_ + "/" + kIdentityFile);
  EXPECT_TRUE(volume_->Inspect().usable);
}

// What a mount over the volume changes: as a disk that comes and goes.
class MountedVolumeTest : public VolumeTest {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to mount";
    fs::create_directory(root_);
    ASSERT_EQ(::mount("pxfs-test", root_.c_str(), "tmpfs", 0, "size=1m,nr_inodes=64"), 0);
    VolumeTest::SetUp();
  }
  void TearDown() override {
    volume_.reset();
    while (::umount2(root_.c_str(), MNT_DETACH) == 0) {
    }
  }
};

TEST_F(MountedVolumeTest, InspectSeesReadOnly) {
  ASSERT_EQ(::mount("", root_.c_str(), "", MS_REMOUNT | MS_RDONLY, ""), 0);
  const meta::VolumeReport report = volume_->Inspect();
  EXPECT_TRUE(report.usable);
  EXPECT_TRUE(report.read_only);
  const ObjectOwner owner;
  EXPECT_EQ(volume_->OpenObject(kObject, O_RDWR | O_CREAT, &owner).error().code(), Code::kReadOnly);
}

// Opened through a private mount, and yet as the volume's own mount has it.
TEST_F(MountedVolumeTest, ReadOnlyHoldsWhateverTheRuleOfAccessTimes) {
  ASSERT_TRUE(volume_->SetAccessTimes({AccessTimes::Rule::kAlways, true}));
  const ObjectOwner owner;
  ASSERT_TRUE(volume_->OpenObject(kObject, O_RDWR | O_CREAT, &owner));
  ASSERT_EQ(::mount("", root_.c_str(), "", MS_REMOUNT | MS_BIND | MS_RDONLY, ""), 0);
  EXPECT_EQ(volume_->OpenObject(kObject, O_RDWR).error().code(), Code::kReadOnly);
  EXPECT_EQ(volume_->OpenObject({InodeId(2), 1}, O_RDWR | O_CREAT | O_EXCL, &owner).error().code(),
            Code::kReadOnly);
  EXPECT_TRUE(volume_->OpenObject(kObject, O_RDONLY));
}

TEST_F(MountedVolumeTest, AccessTimesFollowTheRuleAlsoOfWhatIsOpen) {
  const ObjectOwner owner;
  const auto read = [](const UniqueFd& fd) {
    char byte;
    ASSERT_EQ(::pread(fd.get(), &byte, 1, 0), 1);
  };
  const meta::Timestamp old{1000, 0};
  const auto moved = [&] { return ContentOf(*volume_->StatObject(kObject)).atime != old; };
  ASSERT_TRUE(volume_->SetAccessTimes({AccessTimes::Rule::kNever, true}));
  const auto fd = volume_->OpenObject(kObject, O_RDWR | O_CREAT, &owner);
  ASSERT_TRUE(fd);
  ASSERT_TRUE(WriteAll(fd->get(), "content"));
  ASSERT_TRUE(volume_->SetTimes(kObject, old, {500, 0}));
  read(*fd);
  EXPECT_FALSE(moved());
  ASSERT_TRUE(volume_->SetAccessTimes({AccessTimes::Rule::kAlways, true}));
  read(*fd);
  EXPECT_TRUE(moved());
  ASSERT_TRUE(volume_->SetAccessTimes({AccessTimes::Rule::kNever, true}));
  ASSERT_TRUE(volume_->SetTimes(kObject, old, {2000, 0}));
  read(*fd);
  EXPECT_FALSE(moved());
  ASSERT_TRUE(volume_->SetAccessTimes({AccessTimes::Rule::kRelative, true}));
  read(*fd);
  EXPECT_TRUE(moved());
}

TEST_F(MountedVolumeTest, InspectSeesAnotherFileSystemInItsPlace) {
  ASSERT_EQ(::mount("pxfs-test", root_.c_str(), "tmpfs", 0, "size=1m"), 0);
  EXPECT_FALSE(volume_->Inspect().usable);
  // Even one that calls itself this volume: new objects would go to the hidden one.
  ASSERT_TRUE(Volume::Format(root_, kIdentity));
  EXPECT_FALSE(volume_->Inspect().usable);
}

TEST_F(MountedVolumeTest, InspectSeesADiskDetached) {
  ASSERT_EQ(::umount2(root_.c_str(), MNT_DETACH), 0);
  EXPECT_FALSE(volume_->Inspect().usable);
}

TEST_F(MountedVolumeTest, NoInodesMeansNoRoom) {
  const ObjectOwner owner;
  Status last;
  for (uint64_t i = 1; i < 100 && last; ++i) {
    if (const auto fd = volume_->OpenObject({InodeId(i), 1}, O_RDWR | O_CREAT, &owner); !fd)
      last = Fail(fd.error());
  }
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().code(), Code::kNoSpace);
  EXPECT_EQ(volume_->Inspect().free_bytes, 0u);
}

}  // namespace
}  // namespace pxfs::volumes
