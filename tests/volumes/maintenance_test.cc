#include "volumes/maintenance.h"

#include <fcntl.h>

#include <filesystem>

#include "meta/check.h"
#include "meta/fsck.h"
#include "meta/keys.h"
#include "meta/leveldb_engine.h"
#include "meta/records.h"
#include "tests/volumes/local_metadata.h"
#include "volumes/settle.h"

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

  // As a machine that loses power, whatever that does to disks.
  void LosePower() {
    volumes_.reset();
    metadata_.reset();
    {
      const auto engine = meta::OpenLevelDb(temporary_ / "meta/leveldb", false);
      ASSERT_TRUE(engine);
      ASSERT_TRUE((*engine)->Commit({}, {{meta::keys::Counter("boot"), "another"}}, [] {}));
      // Not closed in order either.
      ASSERT_TRUE((*engine)->Commit({}, {{meta::keys::Counter("totals"), "", true}}, [] {}));
    }
    OpenStore(/*create=*/false);
    volumes_ = std::make_unique<VolumeSet>(kCluster, *metadata_);
    ASSERT_TRUE(volumes_->Refresh());
    ASSERT_TRUE(RecoverOpenFiles(*metadata_, *volumes_));
  }
  meta::Location MakeClosed(const std::string& name, const std::string& content) {
    const auto location = CreateFile(name, content);
    const auto st = volumes_->Find(volume_.id)->StatObject(NameOf(location));
    EXPECT_TRUE(metadata_->CloseWrite(ctx_, location.attr.inode, ContentOf(*st)));
    return location;
  }
  uint64_t SizeOf(const meta::Location& file) {
    const auto attr = metadata_->GetAttr({}, file.attr.inode);
    EXPECT_TRUE(attr);
    EXPECT_FALSE(attr->open_for_write);
    return attr->size_bytes;
  }
  std::string PathOf(const meta::Location& file) const {
    return volume_.path + "/" + NameOf(file).RelativePath();
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

// Files closed and not synced are as their objects are afterwards.
TEST_F(MaintenanceTest, LossOfPowerLeavesWhatReachedTheDisk) {
  const auto whole = MakeClosed("whole", "0123456789");
  const auto shorter = MakeClosed("shorter", "0123456789");
  const auto gone = MakeClosed("gone", "0123456789");
  std::filesystem::resize_file(PathOf(shorter), 4);
  std::filesystem::remove(PathOf(gone));
  LosePower();
  EXPECT_EQ(SizeOf(whole), 10u);
  EXPECT_EQ(SizeOf(shorter), 4u);
  EXPECT_EQ(SizeOf(gone), 0u);
  EXPECT_EQ(std::filesystem::file_size(PathOf(gone)), 0u);
}

// What a checkpoint covered is not made an empty file when its object is lost later.
TEST_F(MaintenanceTest, LossOfPowerDoesNotExcuseALostObject) {
  const auto lost = MakeClosed("lost", "0123456789");
  ASSERT_TRUE(Checkpoint(*metadata_->keeper(), *metadata_, *volumes_));
  const auto later = MakeClosed("later", "0123456789");
  std::filesystem::remove(PathOf(lost));
  std::filesystem::remove(PathOf(later));
  LosePower();
  EXPECT_EQ(SizeOf(lost), 10u);
  EXPECT_FALSE(ObjectExists(lost));
  EXPECT_EQ(SizeOf(later), 0u);
}

TEST_F(MaintenanceTest, NothingIsComparedWhenAllWasDurable) {
  MakeClosed("a", "0123456789");
  ASSERT_TRUE(Checkpoint(*metadata_->keeper(), *metadata_, *volumes_));
  // Nothing has changed since.
  EXPECT_EQ(*metadata_->keeper()->BeginCheckpoint(), 0u);
  MakeClosed("b", "0123456789");
  EXPECT_NE(*metadata_->keeper()->BeginCheckpoint(), 0u);
}

TEST_F(MaintenanceTest, LossOfPowerLeavesNoStrayObjects) {
  const auto file = MakeClosed("file", "0123456789");
  const auto removed = MakeClosed("removed", "0123456789");
  const meta::ReserveItem item{"reserved", 3, volume_.id};
  const auto reserved = metadata_->Reserve(ctx_, kRootInode, {&item, 1});
  ASSERT_TRUE(reserved);
  const ObjectName reserved_name{reserved->front().inode, reserved->front().object_generation};
  const ObjectOwner owner;
  const auto make = [&](ObjectName name) {
    EXPECT_TRUE(volumes_->Find(volume_.id)->OpenObject(name, O_RDWR | O_CREAT | O_EXCL, &owner));
  };
  make(reserved_name);
  ASSERT_TRUE(metadata_->Unlink(ctx_, kRootInode, "removed"));
  ASSERT_TRUE(metadata_->Forget(ctx_.session, {&removed.attr.inode, 1}));
  meta::NewNode node;
  node.mode = S_IFDIR | 0755;
  const auto directory = metadata_->MakeNode(ctx_, kRootInode, "directory", node);
  ASSERT_TRUE(directory);
  ASSERT_TRUE(metadata_->RemoveDirectory(ctx_, kRootInode, "directory"));
  // Of an inode that is not there, and of an earlier content of one that is there.
  const ObjectName strays[] = {{directory->inode, 1},
                               {file.attr.inode, NameOf(file).generation + 7}};
  for (const ObjectName& stray : strays) make(stray);
  const std::string foreign = volume_.path + "/objects/0/notes.txt";
  ASSERT_TRUE(WriteFileAtomically(foreign, "not an object"));
  LosePower();
  meta::StoreKeeper& keeper = *metadata_->keeper();
  ASSERT_TRUE(keeper.PowerWasLost());
  // As they are until the grace of their session is over, and until they are reclaimed.
  const std::vector<meta::ObjectRef> all = {
      {file.attr.inode, volume_.id, NameOf(file).generation},
      {removed.attr.inode, volume_.id, NameOf(removed).generation},
      {strays[0].inode, volume_.id, strays[0].generation},
      {strays[1].inode, volume_.id, strays[1].generation},
      {InodeId(1'000'000), volume_.id, 1}};  // newer than the opening
  const auto unknown = keeper.UnknownObjects(all);
  ASSERT_TRUE(unknown);
  ASSERT_EQ(unknown->size(), 2u);
  EXPECT_EQ(unknown->front().inode, strays[0].inode);
  EXPECT_EQ(unknown->back().object_generation, strays[1].generation);

  EXPECT_EQ(SettlePowerLoss(*metadata_, *volumes_)->removed, 2u);
  EXPECT_FALSE(keeper.PowerWasLost());
  EXPECT_TRUE(ObjectExists(file));
  EXPECT_TRUE(std::filesystem::exists(foreign));
  for (const ObjectName& stray : strays)
    EXPECT_FALSE(std::filesystem::exists(volume_.path + "/" + stray.RelativePath()));
  EXPECT_EQ(SettlePowerLoss(*metadata_, *volumes_)->removed, 0u);
}

// That a file was opened for writing is not durable by itself; what was written may be.
TEST_F(MaintenanceTest, AfterALossOfPowerWhatWasWrittenUnknownToMetadataIsLearned) {
  const auto grown = MakeClosed("grown", "0123456789");
  const auto same = MakeClosed("same", "0123456789");
  ASSERT_TRUE(*Checkpoint(*metadata_->keeper(), *metadata_, *volumes_));
  const auto object = [&](const meta::Location& file) {
    return volume_.path + "/" + NameOf(file).RelativePath();
  };
  ASSERT_TRUE(WriteFileAtomically(object(grown), "0123456789 and more"));
  LosePower();
  EXPECT_EQ(metadata_->GetAttr({}, grown.attr.inode)->size_bytes, 10u) << "its epoch was durable";
  const auto settled = SettlePowerLoss(*metadata_, *volumes_);
  ASSERT_TRUE(settled) << settled.error().message();
  EXPECT_EQ(settled->learned, 1u);
  EXPECT_EQ(settled->removed, 0u);
  EXPECT_EQ(metadata_->GetAttr({}, grown.attr.inode)->size_bytes, 19u);
  EXPECT_EQ(metadata_->GetAttr({}, same.attr.inode)->size_bytes, 10u);
  EXPECT_EQ(metadata_->GetAttr({}, same.attr.inode)->generation, same.attr.generation);
  EXPECT_FALSE(metadata_->GetAttr({}, grown.attr.inode)->open_for_write);
}

// Of a store that was loaded from a dump, files made after the dump have nothing but objects left.
TEST_F(MaintenanceTest, ObjectsFromBeforeALoadedDumpStay) {
  const auto file = MakeClosed("file", "0123456789");
  metadata_.reset();
  {
    const auto engine = meta::OpenLevelDb(temporary_ / "meta/leveldb", false);
    ASSERT_TRUE(engine);
    ASSERT_TRUE((*engine)->Commit(
        {}, {{meta::keys::Counter("sweep floor"), meta::EncodeNumber(file.attr.inode.value + 1)}},
        [] {}));
  }
  OpenStore(/*create=*/false);
  volumes_ = std::make_unique<VolumeSet>(kCluster, *metadata_);
  ASSERT_TRUE(volumes_->Refresh());
  ctx_.session = OpenSession();
  const ObjectOwner owner;
  const ObjectName stray{file.attr.inode, NameOf(file).generation + 7};
  ASSERT_TRUE(volumes_->Find(volume_.id)->OpenObject(stray, O_RDWR | O_CREAT | O_EXCL, &owner));
  MakeClosed("later", "0123456789");
  LosePower();
  EXPECT_EQ(SettlePowerLoss(*metadata_, *volumes_)->removed, 0u);
  EXPECT_TRUE(std::filesystem::exists(volume_.path + "/" + stray.RelativePath()));
}

// An object that is being copied to is nobody's yet, and still not to be deleted or adopted: not by
// the sweep, not by the checker, not by fsck.
TEST_F(MaintenanceTest, AnObjectThatIsSetAsideForACopyIsNoStray) {
  const auto file = MakeClosed("file", "0123456789");
  const meta::VolumeInfo other = AddVolume("v2");
  LosePower();
  ctx_.session = OpenSession();
  const auto ticket = metadata_->BeginCopy(ctx_, file.attr.inode, other.id);
  ASSERT_TRUE(ticket) << ticket.error().message();
  const ObjectName name{file.attr.inode, ticket->object.object_generation};
  const ObjectOwner owner;
  ASSERT_TRUE(volumes_->Require(other.id));
  ASSERT_TRUE((*volumes_->Require(other.id))->OpenObject(name, O_RDWR | O_CREAT, &owner));
  ASSERT_TRUE(metadata_->keeper()->PowerWasLost());
  EXPECT_EQ(SettlePowerLoss(*metadata_, *volumes_)->removed, 0u);
  EXPECT_TRUE(std::filesystem::exists(other.path + "/" + name.RelativePath()));

  // The process that copies dies.
  volumes_.reset();
  metadata_.reset();
  {
    const auto engine = meta::OpenLevelDb(temporary_ / "meta/leveldb", false);
    ASSERT_TRUE(engine);
    const auto problems = meta::CheckStore(**engine);
    ASSERT_TRUE(problems);
    EXPECT_EQ(*problems, std::vector<std::string>{});
  }
  {
    const auto fsck = meta::StoreFsck::Open(temporary_ / "meta", milliseconds(0));
    ASSERT_TRUE(fsck) << fsck.error().message();
    const auto unknown = (*fsck)->Unknown(std::span(&ticket->object, 1));
    ASSERT_TRUE(unknown);
    EXPECT_TRUE(unknown->empty());
  }
  // With its session it is reclaimed.
  OpenStore(/*create=*/false);
  volumes_ = std::make_unique<VolumeSet>(kCluster, *metadata_);
  ASSERT_TRUE(volumes_->Refresh());
  ASSERT_TRUE(RecoverOpenFiles(*metadata_, *volumes_));
  ASSERT_TRUE(ReclaimOnce(*metadata_, *volumes_, 10, milliseconds(0)));
  EXPECT_FALSE(std::filesystem::exists(other.path + "/" + name.RelativePath()));
  EXPECT_TRUE(ObjectExists(file));
}

}  // namespace
}  // namespace pxfs::volumes
