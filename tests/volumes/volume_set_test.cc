#include <fcntl.h>

#include <filesystem>

#include "tests/volumes/local_metadata.h"
#include "volumes/identity.h"
#include "volumes/location.h"

namespace pxfs::volumes {
namespace {

using VolumeSetTest = LocalMetadataTest;

TEST_F(VolumeSetTest, OpensWhatMetadataLists) {
  const VolumeId first = AddVolume("v1").id, second = AddVolume("v2").id;
  VolumeSet volumes(kCluster, *metadata_);
  EXPECT_EQ(volumes.All().size(), 0u);
  ASSERT_TRUE(volumes.Refresh());
  ASSERT_NE(volumes.Find(first), nullptr);
  EXPECT_EQ(volumes.Find(first)->name(), "v1");
  EXPECT_EQ(volumes.All().size(), 2u);
  EXPECT_EQ(volumes.Info(second)->name, "v2");
  EXPECT_EQ(volumes.Find(VolumeId(99)), nullptr);
  EXPECT_EQ(volumes.Require(VolumeId(99)).error().code(), Code::kUnavailable);
  EXPECT_GT(Listed("v1").total_bytes, 0u);

  // A file may be placed on a volume before the next Refresh comes round.
  const VolumeId third = AddVolume("v3").id;
  EXPECT_NE(volumes.Find(third), nullptr);
  EXPECT_TRUE(volumes.Require(third));
}

TEST_F(VolumeSetTest, AVolumeThatGoesIsOfflineUntilItIsBack) {
  const VolumeId id = AddVolume("v1").id;
  VolumeSet volumes(kCluster, *metadata_);
  ASSERT_TRUE(volumes.Refresh());
  const std::shared_ptr<Volume> held = volumes.Find(id);

  std::filesystem::rename(temporary_ / "v1", temporary_ / "away");
  ASSERT_TRUE(volumes.Refresh());
  EXPECT_EQ(volumes.Find(id), nullptr);
  const auto required = volumes.Require(id);
  ASSERT_FALSE(required);
  EXPECT_EQ(required.error().code(), Code::kUnavailable);
  EXPECT_NE(required.error().message().find("v1"), std::string::npos) << required.error().message();
  EXPECT_EQ(Listed("v1").state, meta::VolumeState::kOffline);
  EXPECT_NE(Listed("v1").problem, "");
  EXPECT_TRUE(held->Sync());  // what was held stays usable

  std::filesystem::rename(temporary_ / "away", temporary_ / "v1");
  ASSERT_TRUE(volumes.Refresh());
  EXPECT_NE(volumes.Find(id), nullptr);
  EXPECT_EQ(Listed("v1").state, meta::VolumeState::kOnline);
  EXPECT_EQ(Listed("v1").problem, "");
}

TEST_F(VolumeSetTest, AForeignVolumeIsNotUsed) {
  const meta::VolumeInfo info = AddVolume("v1");
  VolumeSet others("cluster-b", *metadata_);
  ASSERT_TRUE(others.Refresh());
  EXPECT_EQ(others.Find(info.id), nullptr);
  EXPECT_NE(Listed("v1").problem.find("cluster-a"), std::string::npos) << Listed("v1").problem;
}

TEST_F(VolumeSetTest, AClientDoesNotReport) {
  AddVolume("v1");
  VolumeSet client("cluster-b", *metadata_, /*reports=*/false);
  ASSERT_TRUE(client.Refresh());
  EXPECT_EQ(Listed("v1").state, meta::VolumeState::kOnline);
  EXPECT_EQ(Listed("v1").problem, "");
}

TEST_F(VolumeSetTest, ObjectPathsAreKnownOfflineToo) {
  const VolumeId id = AddVolume("v1").id;
  VolumeSet volumes(kCluster, *metadata_);
  std::filesystem::remove(temporary_ / "v1/.pxfs-volume");
  ASSERT_TRUE(volumes.Refresh());
  meta::Replica replica;
  replica.volume = id;
  replica.object_generation = 2;
  EXPECT_EQ(volumes.ObjectPath(replica, InodeId(0x1a)), temporary_ / "v1/objects/0/1a-2");
  replica.volume = VolumeId(99);
  EXPECT_EQ(volumes.ObjectPath(replica, InodeId(0x1a)), "");
}

class LocationTest : public LocalMetadataTest {
 protected:
  std::string StateOf(const VolumeSet& volumes, const meta::Replica& replica) {
    meta::Location location;
    location.attr.inode = InodeId(7);
    location.replicas = {replica};
    return LocationJson(location, volumes, "/f")["replicas"][0]["state"];
  }
};

TEST_F(LocationTest, HasTheFieldsThatUsersReadOn) {
  const meta::VolumeInfo info = AddVolume("v1");
  VolumeSet volumes(kCluster, *metadata_);
  ASSERT_TRUE(volumes.Refresh());
  meta::Location location;
  location.attr.inode = InodeId(7);
  location.attr.size_bytes = 42;
  location.attr.generation = 3;
  meta::Replica replica;
  replica.volume = info.id;
  replica.object_generation = 2;
  replica.generation = 3;
  replica.primary = true;
  location.replicas = {replica};
  EXPECT_EQ(LocationJson(location, volumes, "/dir/file"),
            (nlohmann::json{{"path", "/dir/file"},
                            {"inode", 7},
                            {"size", 42},
                            {"generation", 3},
                            {"replicas",
                             {{{"node", NodeName(NodeId())},
                               {"volume", "v1"},
                               {"object", temporary_ / "v1/objects/0/7-2"},
                               {"generation", 3},
                               {"state", "current"},
                               {"primary", true}}}}}));
}

TEST_F(LocationTest, StatesAsTheyAreOnDisk) {
  meta::Replica replica;
  replica.volume = AddVolume("v1").id;
  replica.object_generation = 1;
  VolumeSet volumes(kCluster, *metadata_);
  ASSERT_TRUE(volumes.Refresh());
  EXPECT_EQ(StateOf(volumes, replica), "current");  // no object yet, but none is due
  replica.materialized = true;
  EXPECT_EQ(StateOf(volumes, replica), "missing");
  const ObjectOwner owner;
  ASSERT_TRUE(volumes.Find(replica.volume)->OpenObject({InodeId(7), 1}, O_RDWR | O_CREAT, &owner));
  EXPECT_EQ(StateOf(volumes, replica), "current");
  replica.state = meta::ReplicaState::kStale;
  EXPECT_EQ(StateOf(volumes, replica), "stale");
}

TEST(SetTextTest, KeepsBytesThatAreNoText) {
  nlohmann::json json;
  SetText(json, "path", "/plain/\xc3\xa4");
  EXPECT_EQ(json, (nlohmann::json{{"path", "/plain/\xc3\xa4"}}));
  SetText(json, "path", "/x\xff\n");
  EXPECT_EQ(json["path_hex"], "2f78ff0a");
  EXPECT_EQ(json["path"], "/x\xef\xbf\xbd\n");
}

}  // namespace
}  // namespace pxfs::volumes
