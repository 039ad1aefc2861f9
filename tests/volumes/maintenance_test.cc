#include "volumes/maintenance.h"

#include <fcntl.h>

#include <filesystem>

#include "tests/volumes/local_metadata.h"

namespace pxfs::volumes {
namespace {

using std::chrono::milliseconds;

class MaintenanceTest : public LocalMetadataTest {
 protected:
  void SetUp() override {
    LocalMetadataTest::SetUp();
    volume_ = AddVolume("v1");
    volumes_ = std::make_unique<VolumeSet>(kCluster, *metadata_);
    ASSERT_TRUE(volumes_->Refresh());
    ctx_.session = OpenSession();
  }

  SessionId OpenSession() {
    const auto session = metadata_->OpenSession({"test", {}, nullptr});
    EXPECT_TRUE(session);
    return session ? *session : SessionId();
  }

  // As a process that dies and is succeeded by one that opens the store again.
  void Crash() {
    volumes_.reset();
    metadata_.reset();
    OpenStore(/*create=*/false);
    volumes_ = std::make_unique<VolumeSet>(kCluster, *metadata_);
    ASSERT_TRUE(volumes_->Refresh());
  }

  // A new file with an object that holds `content`, still open for writing.
  meta::Location CreateFile(const std::string& name, const std::string& content) {
    meta::NewNode node;
    node.mode = S_IFREG | 0644;
    const auto created = metadata_->Create(ctx_, kRootInode, name, node);
    EXPECT_TRUE(created) << created.error().message();
    const ObjectOwner owner;
    const auto fd =
        volumes_->Find(volume_.id)->OpenObject(NameOf(*created), O_RDWR | O_CREAT, &owner);
    EXPECT_TRUE(fd);
    EXPECT_TRUE(WriteAll(fd->get(), content));
    return *created;
  }

  static ObjectName NameOf(const meta::Location& location) {
    return {location.attr.inode, location.replicas.front().object_generation};
  }

  bool ObjectExists(const meta::Location& location) const {
    return std::filesystem::exists(volume_.path + "/" + NameOf(location).RelativePath());
  }

  void Close(const meta::Location& location) {
    const auto st = volumes_->Find(volume_.id)->StatObject(NameOf(location));
    ASSERT_TRUE(st);
    ASSERT_TRUE(metadata_->CloseWrite(ctx_, location.attr.inode, ContentOf(*st)));
  }

  meta::VolumeInfo volume_;
  std::unique_ptr<VolumeSet> volumes_;
  meta::CallContext ctx_;
};

// A creator that dies between the name and the object leaves an empty file that can be opened.
TEST_F(MaintenanceTest, AFileWithoutItsObjectGetsOne) {
  meta::NewNode node;
  node.mode = S_IFREG | 0640;
  const auto created = metadata_->Create(ctx_, kRootInode, "f", node);
  ASSERT_TRUE(created) << created.error().message();
  ASSERT_FALSE(ObjectExists(*created));
  ASSERT_TRUE(metadata_->CloseSession(ctx_.session));
  ASSERT_TRUE(RecoverOpenFiles(*metadata_, *volumes_));
  EXPECT_TRUE(ObjectExists(*created));
  ctx_.session = OpenSession();
  const auto location = metadata_->Locate(ctx_, created->attr.inode);
  ASSERT_TRUE(location);
  EXPECT_EQ(location->attr.size_bytes, 0u);
  EXPECT_FALSE(location->attr.open_for_write);
}

TEST_F(MaintenanceTest, FilesThatWereOpenGetTheSizeOfTheirObjects) {
  const meta::Location file = CreateFile("file", "eleven byte");
  Crash();
  ASSERT_TRUE(RecoverOpenFiles(*metadata_, *volumes_));
  const auto attr = metadata_->GetAttr({}, file.attr.inode);
  ASSERT_TRUE(attr);
  EXPECT_EQ(attr->size_bytes, 11u);
  EXPECT_FALSE(attr->open_for_write);
}

TEST_F(MaintenanceTest, FilesOnAnOfflineVolumeWaitForIt) {
  const meta::Location file = CreateFile("file", "eleven byte");
  std::filesystem::rename(volume_.path, temporary_ / "away");
  Crash();
  ASSERT_TRUE(RecoverOpenFiles(*metadata_, *volumes_));
  EXPECT_TRUE(metadata_->GetAttr({}, file.attr.inode)->open_for_write);
  std::filesystem::rename(temporary_ / "away", volume_.path);
  ASSERT_TRUE(volumes_->Refresh());
  ASSERT_TRUE(RecoverOpenFiles(*metadata_, *volumes_));
  EXPECT_EQ(metadata_->GetAttr({}, file.attr.inode)->size_bytes, 11u);
}

TEST_F(MaintenanceTest, AnObjectThatWasNeverMadeIsAnEmptyFile) {
  const meta::Location file = CreateFile("file", "");
  ASSERT_TRUE(volumes_->Find(volume_.id)->RemoveObject(NameOf(file)));
  Crash();
  ASSERT_TRUE(RecoverOpenFiles(*metadata_, *volumes_));
  EXPECT_EQ(metadata_->GetAttr({}, file.attr.inode)->size_bytes, 0u);
}

TEST_F(MaintenanceTest, ObjectsOfRemovedFilesGo) {
  const meta::Location gone = CreateFile("gone", "x"), stays = CreateFile("stays", "x");
  Close(gone);
  Close(stays);
  ASSERT_TRUE(metadata_->Unlink(ctx_, kRootInode, "gone"));
  const auto reclaimed = ReclaimOnce(*metadata_, *volumes_, 100, milliseconds(5000));
  ASSERT_TRUE(reclaimed);
  EXPECT_EQ(*reclaimed, 1u);
  EXPECT_FALSE(ObjectExists(gone));
  EXPECT_TRUE(ObjectExists(stays));
  EXPECT_EQ(*ReclaimOnce(*metadata_, *volumes_, 100, milliseconds(0)), 0u);
}

TEST_F(MaintenanceTest, ObjectsOnAnOfflineVolumeAreNotForgotten) {
  const meta::Location gone = CreateFile("gone", "x");
  Close(gone);
  ASSERT_TRUE(metadata_->Unlink(ctx_, kRootInode, "gone"));
  std::filesystem::rename(volume_.path, temporary_ / "away");
  ASSERT_TRUE(volumes_->Refresh());
  EXPECT_EQ(*ReclaimOnce(*metadata_, *volumes_, 100, milliseconds(5000)), 0u);
  EXPECT_EQ(metadata_->GetStatistics()->reclaim_queue, 1u);
  std::filesystem::rename(temporary_ / "away", volume_.path);
  Crash();
  EXPECT_TRUE(ObjectExists(gone));
  EXPECT_EQ(*ReclaimOnce(*metadata_, *volumes_, 100, milliseconds(5000)), 1u);
  EXPECT_FALSE(ObjectExists(gone));
}

TEST_F(MaintenanceTest, TheBackgroundDoesItAll) {
  const meta::Location gone = CreateFile("gone", "x");
  Close(gone);
  {
    Maintenance maintenance(*metadata_, *volumes_);
    ASSERT_TRUE(metadata_->Unlink(ctx_, kRootInode, "gone"));
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (metadata_->GetStatistics()->reclaim_queue != 0 || ObjectExists(gone)) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      std::this_thread::yield();
    }
  }
  EXPECT_FALSE(ObjectExists(gone));
}

}  // namespace
}  // namespace pxfs::volumes
