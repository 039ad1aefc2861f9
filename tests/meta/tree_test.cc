// Whole trees: meta/ops/reserve.cc, add_tree.cc, detached.cc; and records, policies, volumes.
#include <set>

#include "tests/meta/service_fixture.h"

namespace pxfs::meta {
namespace {

class TreeTest : public ServiceTest {
 protected:
  TreeNode Directory(const std::string& path, uint32_t mode = 0755) const {
    TreeNode node;
    node.path = path;
    node.mode = S_IFDIR | mode;
    node.mtime = {5, 5};
    return node;
  }
  TreeNode File(const std::string& path, ReservedObject object, uint64_t size = 10) const {
    TreeNode node = Directory(path);
    node.mode = S_IFREG | 0644;
    node.object = object;
    node.size_bytes = size;
    node.checksum = Hash128{1, 2};
    return node;
  }
  std::vector<ReservedObject> Reserve(size_t count) {
    return Value(service_->Reserve(ctx_, kRootInode, std::vector<ReserveItem>(count)));
  }
  Status Add(const std::vector<TreeNode>& nodes, IfExists if_exists = IfExists::kFail,
             InodeId directory = kRootInode) {
    return service_->AddTree(ctx_, directory, nodes, if_exists);
  }
  std::vector<ReclaimItem> TakeReclaimable() {
    return Value(service_->WaitReclaimable(1000, std::chrono::milliseconds(0)));
  }
  Attr Find(const std::string& path) {
    return Value(service_->Resolve(ctx_, kRootInode, path, false), path.c_str());
  }
};

TEST_P(TreeTest, ATreeAppearsWhole) {
  const auto objects = Reserve(2);
  TreeNode link = Directory("d/link"), hard = Directory("d/sub/hard");
  link.mode = S_IFLNK | 0777;
  link.symlink_target = "a";
  hard.mode = S_IFREG | 0644;
  hard.hard_link_to = "d/a";
  TreeNode d = Directory("d", 02750);
  d.uid = 5;
  d.xattrs["user.color"] = "red";
  Tick();
  EXPECT_OK(Add({d, File("d/a", objects[0]), Directory("d/sub"), File("d/sub/b", objects[1], 20),
                 link, hard}));
  const Attr a = Find("d/a");
  EXPECT_EQ(a.inode, objects[0].inode);
  EXPECT_EQ(a.size_bytes, 10u);
  EXPECT_EQ(a.mtime, (Timestamp{5, 5}));
  EXPECT_EQ(a.ctime, now_);
  EXPECT_EQ(a.nlink, 2u);
  EXPECT_EQ(Find("d/sub/hard").inode, a.inode);
  EXPECT_EQ(Find("d").uid, 5u);
  EXPECT_EQ(Find("d").mode, S_IFDIR | 02750u);
  EXPECT_EQ(Find("d").mtime, (Timestamp{5, 5})) << "although names were added to it";
  EXPECT_EQ(Find("").mtime, now_);
  EXPECT_EQ(Value(service_->GetXattr(ctx_, Find("d").inode, "user.color")), "red");
  const Location located = Value(service_->Locate(ctx_, a.inode));
  ASSERT_EQ(located.replicas.size(), 1u);
  EXPECT_TRUE(located.replicas[0].materialized && located.replicas[0].primary);
  EXPECT_EQ(located.replicas[0].checksum, (Hash128{1, 2}));
  EXPECT_EQ(Value(service_->ListVolumes())[0].objects, 2u);
  EXPECT_EQ(Value(service_->ListVolumes())[0].object_bytes, 30u);
  EXPECT_EQ(Value(service_->ListVolumeInodes(volume_, {}, 10)).size(), 2u);
  EXPECT_OK(service_->CloseSession(ctx_.session));
  EXPECT_TRUE(TakeReclaimable().empty()) << "published, so no longer reserved";
}

TEST_P(TreeTest, AllOrNothing) {
  MakeFile(kRootInode, "taken");
  const auto objects = Reserve(2);
  const auto failed = Add({Directory("new"), File("new/a", objects[0]), File("taken", objects[1])});
  EXPECT_CODE(Code::kExists, failed);
  EXPECT_NE(failed.error().message().find("taken"), std::string::npos);
  EXPECT_CODE(Code::kNotFound, service_->Lookup(ctx_, kRootInode, "new"));
  EXPECT_OK(Add({Directory("new"), File("new/a", objects[0]), File("other", objects[1])}));
}

TEST_P(TreeTest, MergeAndReplace) {
  const InodeId d = MakeDirectory(kRootInode, "d");
  const InodeId old = MakeFile(d, "f");
  MakeDirectory(d, "dir");
  const auto objects = Reserve(3);
  EXPECT_CODE(Code::kExists, Add({Directory("d")}));
  EXPECT_OK(Add({Directory("d"), File("d/g", objects[0])}, IfExists::kMerge));
  EXPECT_CODE(Code::kExists, Add({Directory("d"), File("d/f", objects[1])}, IfExists::kMerge));
  EXPECT_OK(Add({Directory("d"), File("d/f", objects[1])}, IfExists::kReplace));
  EXPECT_EQ(Find("d").inode, d);
  EXPECT_EQ(Find("d/f").inode, objects[1].inode);
  const auto reclaimable = TakeReclaimable();
  ASSERT_EQ(reclaimable.size(), 1u);
  EXPECT_EQ(reclaimable[0].inode, old);
  EXPECT_CODE(Code::kExists, Add({File("d/dir", objects[2])}, IfExists::kReplace));
  EXPECT_CODE(Code::kExists, Add({Directory("d/f")}, IfExists::kReplace));
}

TEST_P(TreeTest, BadNodesAreRefused) {
  const auto objects = Reserve(1);
  ReservedObject foreign = objects[0];
  ++foreign.inode.value;
  TreeNode hard = Directory("h");
  hard.hard_link_to = "nowhere";
  TreeNode big = File("big", {}, 10);
  EXPECT_CODE(Code::kInvalid, Add({File("f", foreign)}));
  EXPECT_CODE(Code::kInvalid, Add({big}));
  EXPECT_CODE(Code::kNotFound, Add({hard}));
  EXPECT_CODE(Code::kNotFound, Add({Directory("no/such")}));
  EXPECT_CODE(Code::kInvalid, Add({Directory("..")}));
  EXPECT_CODE(Code::kInvalid, Add({Directory("/x")}));
  EXPECT_CODE(Code::kNotFound, Add({Directory("x//y")}));
  EXPECT_OK(Add({File("f", objects[0])}));
  EXPECT_CODE(Code::kInvalid, Add({File("again", objects[0])})) << "published already";
  EXPECT_OK(Add({File("empty", {}, 0)}));
}

TEST_P(TreeTest, UnpublishedObjectsAreReclaimed) {
  const auto objects = Reserve(3);
  std::set<uint64_t> numbers;
  for (const ReservedObject& object : objects) numbers.insert(object.inode.value);
  EXPECT_EQ(numbers.size(), 3u);
  EXPECT_OK(service_->Discard(ctx_, std::vector{objects[0].inode}));
  EXPECT_OK(service_->Discard(ctx_, std::vector{objects[0].inode}));
  EXPECT_EQ(TakeReclaimable().size(), 1u);
  EXPECT_OK(Add({File("kept", objects[1])}));
  Reopen();  // the session dies with its process
  EXPECT_OK(service_->FilesToRecover());
  const auto items = TakeReclaimable();
  std::set<InodeId> inodes;
  for (const ReclaimItem& item : items) inodes.insert(item.inode);
  EXPECT_EQ(inodes, (std::set<InodeId>{objects[0].inode, objects[2].inode}));
  EXPECT_OK(service_->Reclaimed(items));
  EXPECT_OK(service_->GetAttr(ctx_, objects[1].inode));
}

TEST_P(TreeTest, ADetachedTreeIsPublishedWithRecords) {
  const InodeId detached = Value(service_->CreateDetached(ctx_, 0750));
  EXPECT_CODE(Code::kNoData, service_->PathOf(detached));
  const auto objects = Reserve(1);
  EXPECT_OK(Add({Directory("sub"), File("sub/f", objects[0])}, IfExists::kFail, detached));
  MakeDirectory(kRootInode, "taken");
  const std::vector<RecordWrite> records = {{"job/7", "done"}};
  EXPECT_CODE(Code::kExists, service_->Attach(ctx_, detached, kRootInode, "taken", records));
  EXPECT_TRUE(Value(service_->ScanRecords("job/", "", 10)).empty());
  EXPECT_OK(service_->Attach(ctx_, detached, kRootInode, "out", records));
  EXPECT_EQ(Value(service_->PathOf(objects[0].inode)), "/out/sub/f");
  EXPECT_EQ(Value(service_->ScanRecords("job/", "", 10)).size(), 1u);
  EXPECT_EQ(Find("").nlink, 4u);
  EXPECT_CODE(Code::kInvalid, service_->Attach(ctx_, detached, kRootInode, "twice", records));
  EXPECT_OK(service_->CloseSession(ctx_.session));
  EXPECT_OK(service_->GetAttr(ctx_, detached));
}

TEST_P(TreeTest, AnAbandonedTreeIsDiscardedWithAllItHolds) {
  const InodeId detached = Value(service_->CreateDetached(ctx_, 0750));
  std::vector<TreeNode> nodes;
  const auto objects = Reserve(600);
  for (size_t i = 0; i < 20; ++i) nodes.push_back(Directory("d" + std::to_string(i)));
  for (size_t i = 0; i < 20; ++i) nodes.push_back(Directory("d" + std::to_string(i) + "/deep"));
  for (size_t i = 0; i < objects.size(); ++i)
    nodes.push_back(File((i % 2 ? "d0/f" : "d1/deep/f") + std::to_string(i), objects[i]));
  EXPECT_OK(Add(nodes, IfExists::kFail, detached));
  Reopen();
  EXPECT_OK(service_->FilesToRecover());
  EXPECT_CODE(Code::kNotFound, service_->GetAttr(ctx_, detached));
  const auto items = TakeReclaimable();
  EXPECT_EQ(items.size(), objects.size());
  EXPECT_OK(service_->Reclaimed(items));
  EXPECT_EQ(Value(service_->GetStatistics()).inodes, 1u) << "the root";
  EXPECT_EQ(Value(service_->ListVolumes())[0].objects, 0u);
}

TEST_P(TreeTest, RecordsOfOtherServices) {
  const std::vector<RecordWrite> writes = {
      {"job/1", "a"}, {"job/2", "b"}, {"job/3", "c"}, {"jobs", "x"}, {"jo", "y"}};
  EXPECT_OK(service_->WriteRecords(writes, true));
  Reopen();
  auto page = Value(service_->ScanRecords("job/", "", 2));
  ASSERT_EQ(page.size(), 2u);
  EXPECT_EQ(page[1].key, "job/2");
  page = Value(service_->ScanRecords("job/", "2", 2));
  ASSERT_EQ(page.size(), 1u);
  EXPECT_EQ(page[0].key, "job/3");
  EXPECT_EQ(page[0].value, "c");
  EXPECT_OK(service_->WriteRecords(std::vector<RecordWrite>{{"job/3", std::nullopt}}, false));
  EXPECT_TRUE(Value(service_->ScanRecords("job/", "2", 2)).empty());
  EXPECT_EQ(Value(service_->ScanRecords("", "", 100)).size(), 4u);
}

TEST_P(TreeTest, PoliciesAreInheritedAndGoWithTheirDirectory) {
  const InodeId d = MakeDirectory(kRootInode, "d"), sub = MakeDirectory(d, "sub");
  const InodeId f = MakeFile(sub, "f");
  Policy policy;
  policy.placement = Placement::kMostFree;
  EXPECT_OK(service_->SetPolicy(ctx_, d, policy));
  Reopen();
  PolicyView view = Value(service_->GetPolicy(f));
  EXPECT_EQ(view.set_on, d);
  EXPECT_TRUE(view.own.empty());
  EXPECT_EQ(view.effective.placement, Placement::kMostFree);
  EXPECT_EQ(Value(service_->GetPolicy(kRootInode)).set_on, InodeId());
  EXPECT_CODE(Code::kNotDirectory, service_->SetPolicy(ctx_, f, policy));
  policy.placement = Placement::kPin;
  policy.pin_volume = "no such volume";
  EXPECT_CODE(Code::kInvalid, service_->SetPolicy(ctx_, d, policy));
  EXPECT_OK(service_->SetPolicy(ctx_, sub, Policy{Placement::kPin, "v1", {}, {}, {}, {}, {}, {}}));
  EXPECT_EQ(Value(service_->GetPolicy(f)).set_on, sub);
  EXPECT_OK(service_->SetPolicy(ctx_, sub, {}));
  EXPECT_EQ(Value(service_->GetPolicy(f)).set_on, d);
  EXPECT_OK(service_->Unlink(ctx_, sub, "f"));
  EXPECT_OK(service_->RemoveDirectory(ctx_, d, "sub"));
  EXPECT_OK(service_->RemoveDirectory(ctx_, kRootInode, "d"));
  EXPECT_EQ(Value(service_->GetPolicy(kRootInode)).set_on, InodeId());
}

TEST_P(TreeTest, VolumesKeepTheirNumbers) {
  VolumeInfo second;
  second.name = "v2";
  second.path = "/v2";
  second.labels["tier"] = "ssd";
  second = Value(service_->AddVolume(second));
  EXPECT_NE(second.id, volume_);
  VolumeInfo same_name = second, same_path = second;
  same_name.path = "/v3";
  same_path.name = "v3";
  EXPECT_CODE(Code::kExists, service_->AddVolume(same_name));
  EXPECT_CODE(Code::kExists, service_->AddVolume(same_path));
  EXPECT_CODE(Code::kInvalid, service_->AddVolume({}));
  second.state = VolumeState::kReadOnly;
  second.reserve_bytes = 7;
  EXPECT_OK(service_->UpdateVolume(second));
  Reopen();
  const auto volumes = Value(service_->ListVolumes());
  ASSERT_EQ(volumes.size(), 2u);
  EXPECT_EQ(volumes[1].id, second.id);
  EXPECT_EQ(volumes[1].state, VolumeState::kReadOnly);
  EXPECT_EQ(volumes[1].reserve_bytes, 7u);
  EXPECT_EQ(volumes[1].labels.at("tier"), "ssd");
  EXPECT_EQ(volumes[1].total_bytes, 0u) << "not reported yet";
  second.id = VolumeId(99);
  EXPECT_CODE(Code::kNotFound, service_->UpdateVolume(second));
  EXPECT_CODE(Code::kNotFound, service_->ReportVolume({second.id, true, false, 1, 1, ""}));
  const StatFs space = Value(service_->GetStatFs());
  EXPECT_EQ(space.total_bytes, 1ull << 40);
  EXPECT_EQ(space.free_bytes, 1ull << 39);
}

TEST_P(TreeTest, CountsSurviveACrash) {
  const auto objects = Reserve(1);
  EXPECT_OK(Add({File("f", objects[0], 1000)}));
  MakeDirectory(kRootInode, "d");
  const auto check = [&] {
    EXPECT_EQ(Value(service_->GetStatFs()).inodes, 3u);
    EXPECT_EQ(Value(service_->ListVolumes())[0].object_bytes, 1000u);
  };
  check();
  Reopen();
  check();
  if (GetParam() == EngineKind::kMemory) {
    // The process dies: nothing is saved on the way out. Another is opened on what it left.
    const auto left = std::make_shared<MemoryDisk>(*disk_);
    service_.reset();
    disk_ = left;
    Start();
    check();
  }
}

PXFS_BOTH_ENGINES(TreeTest);

}  // namespace
}  // namespace pxfs::meta
