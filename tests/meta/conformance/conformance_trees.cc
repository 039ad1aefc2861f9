#include "tests/meta/conformance/conformance_test.h"

namespace pxfs::meta {
namespace {

class ConformanceTrees : public ConformanceTest {
 protected:
  static TreeNode Directory(const std::string& path, uint32_t mode = 0755) {
    TreeNode node;
    node.path = path;
    node.mode = S_IFDIR | mode;
    node.atime = {10, 1};
    node.mtime = {20, 2};
    return node;
  }
  static TreeNode File(const std::string& path, const ReservedObject& object, uint64_t size) {
    TreeNode node = Directory(path);
    node.mode = S_IFREG | 0640;
    node.uid = 5;
    node.gid = 6;
    node.object = object;
    node.size_bytes = size;
    node.blocks = 1;
    node.checksum = Hash128{1, 2};
    node.xattrs = {{"user.a", std::string("\0\xff", 2)}, {"user.b", ""}};
    return node;
  }
  ReservedObject ReserveOne(InodeId directory, const std::string& path = "f") {
    const ReserveItem item{path, 100, {}};
    const auto objects = Value(service().Reserve(ctx_, directory, {&item, 1}));
    return objects.empty() ? ReservedObject() : objects[0];
  }
  Status Add(InodeId directory, std::vector<TreeNode> nodes, IfExists if_exists = IfExists::kFail) {
    return service().AddTree(ctx_, directory, nodes, if_exists);
  }
  Attr Find(const std::string& path) {
    return Value(service().Resolve(ctx_, kRootInode, path, false), path.c_str());
  }
};
PXFS_BOTH_SHAPES(ConformanceTrees);

TEST_P(ConformanceTrees, Reserve) {
  VolumeInfo second;
  second.name = "v2";
  second.path = "/volumes/2";
  const VolumeId other = Value(service().AddVolume(second)).id;
  Report(other);
  const std::vector<ReserveItem> items = {{"a", 10, {}}, {"b/c", 20, other}, {"d", 0, volume_}};
  const auto objects = Value(service().Reserve(ctx_, kRootInode, items));
  ASSERT_EQ(objects.size(), 3u);
  EXPECT_EQ(objects[1].volume, other);
  EXPECT_EQ(objects[2].volume, volume_);
  EXPECT_NE(objects[0].inode, objects[1].inode);
  for (const ReservedObject& object : objects) EXPECT_NE(object.object_generation, 0u);
  const ReserveItem nowhere{"x", 1, VolumeId(999)};
  EXPECT_CODE(Code::kNotFound, service().Reserve(ctx_, kRootInode, {&nowhere, 1}));
  CallContext nobody = ctx_;
  nobody.session = {};
  EXPECT_CODE(Code::kInvalid, service().Reserve(nobody, kRootInode, items));
}

TEST_P(ConformanceTrees, AddTree) {
  const ReservedObject object = ReserveOne(kRootInode);
  TreeNode symlink = Directory("d/l");
  symlink.mode = S_IFLNK | 0777;
  symlink.symlink_target = "f";
  TreeNode device = Directory("d/null");
  device.mode = S_IFCHR | 0666;
  device.rdev = 0x103;
  TreeNode link = Directory("d/e/hard");
  link.mode = S_IFREG | 0640;
  link.hard_link_to = "d/f";
  EXPECT_OK(Add(kRootInode, {Directory("d", 0750), File("d/f", object, 100), symlink, device,
                             Directory("d/e"), link}));
  const Attr file = Find("/d/f");
  EXPECT_EQ(file.inode, object.inode);
  EXPECT_EQ(file.mode, S_IFREG | 0640u);
  EXPECT_EQ(file.nlink, 2u);
  EXPECT_EQ(file.uid, 5u);
  EXPECT_EQ(file.gid, 6u);
  EXPECT_EQ(file.size_bytes, 100u);
  EXPECT_EQ(file.atime, (Timestamp{10, 1}));
  EXPECT_EQ(file.mtime, (Timestamp{20, 2}));
  EXPECT_EQ(Find("/d/e/hard").inode, object.inode);
  EXPECT_EQ(Find("/d").mode, S_IFDIR | 0750u);
  EXPECT_EQ(Find("/d").mtime, (Timestamp{20, 2}));
  EXPECT_EQ(Find("/d").nlink, 3u);
  EXPECT_EQ(Find("/d/null").rdev, 0x103u);
  EXPECT_EQ(Value(service().ReadLink(ctx_, Find("/d/l").inode)), "f");
  EXPECT_EQ(Value(service().GetXattr(ctx_, object.inode, "user.a")), std::string("\0\xff", 2));
  EXPECT_EQ(Value(service().GetXattr(ctx_, object.inode, "user.b")), "");
  const Location location = Value(service().Locate(ctx_, object.inode));
  EXPECT_EQ(location.replicas.at(0).volume, object.volume);
  EXPECT_EQ(location.replicas.at(0).object_generation, object.object_generation);
  EXPECT_EQ(location.replicas.at(0).checksum, (Hash128{1, 2}));
  EXPECT_TRUE(location.replicas.at(0).materialized);
}

TEST_P(ConformanceTrees, WhatExists) {
  const InodeId kept = MakeDirectory(kRootInode, "d");
  const InodeId old = MakeFile(kept, "f");
  const ReservedObject first = ReserveOne(kRootInode), second = ReserveOne(kRootInode);
  EXPECT_CODE(Code::kExists, Add(kRootInode, {Directory("new"), Directory("d")}));
  EXPECT_CODE(Code::kNotFound, service().Lookup(ctx_, kRootInode, "new")) << "all or nothing";
  const auto merged = Add(kRootInode, {Directory("d"), File("d/f", first, 1)}, IfExists::kMerge);
  EXPECT_CODE(Code::kExists, merged);
  EXPECT_THAT(merged.error().message(), testing::HasSubstr("d/f"));
  EXPECT_OK(Add(kRootInode, {Directory("d"), File("d/g", first, 1)}, IfExists::kMerge));
  EXPECT_EQ(Find("/d").inode, kept);
  EXPECT_OK(Add(kRootInode, {Directory("d"), File("d/f", second, 1)}, IfExists::kReplace));
  EXPECT_EQ(Find("/d/f").inode, second.inode);
  const auto items = Value(service().WaitReclaimable(10, std::chrono::seconds(10)));
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0].inode, old);
}

TEST_P(ConformanceTrees, AddTreeErrors) {
  const ReservedObject object = ReserveOne(kRootInode);
  EXPECT_CODE(Code::kNotFound, Add(kRootInode, {File("missing/f", object, 1)}));
  EXPECT_CODE(Code::kNotDirectory, Add(MakeFile(kRootInode, "f"), {Directory("d")}));
  EXPECT_CODE(Code::kInvalid, Add(kRootInode, {Directory("..")}));
  EXPECT_CODE(Code::kInvalid, Add(kRootInode, {File("x", {InodeId(999'999), volume_, 1}, 1)}));
  EXPECT_OK(Add(kRootInode, {File("once", object, 1)}));
  EXPECT_CODE(Code::kInvalid, Add(kRootInode, {File("twice", object, 1)}));
}

TEST_P(ConformanceTrees, DetachedDirectoriesAppearAtOnce) {
  const InodeId detached = Value(service().CreateDetached(ctx_, 0751));
  const ReservedObject object = ReserveOne(detached);
  EXPECT_OK(Add(detached, {Directory("sub"), File("sub/f", object, 4)}));
  EXPECT_CODE(Code::kNoData, service().PathOf(detached));
  EXPECT_TRUE(Names(kRootInode).empty());
  MakeFile(kRootInode, "taken");
  const std::vector<RecordWrite> records = {{"job/1", "done"}, {"job/2", std::nullopt}};
  EXPECT_CODE(Code::kExists, service().Attach(ctx_, detached, kRootInode, "taken", records));
  EXPECT_TRUE(Value(service().ScanRecords("job/", "", 10)).empty());
  EXPECT_OK(service().Attach(ctx_, detached, kRootInode, "result", records));
  EXPECT_EQ(Find("/result").inode, detached);
  EXPECT_EQ(Find("/result").mode, S_IFDIR | 0751u);
  EXPECT_EQ(Find("/result/sub/f").size_bytes, 4u);
  EXPECT_EQ(Value(service().PathOf(object.inode)), "/result/sub/f");
  const auto written = Value(service().ScanRecords("job/", "", 10));
  ASSERT_EQ(written.size(), 1u);
  EXPECT_EQ(written[0].value, "done");
  const auto again = service().Attach(ctx_, detached, kRootInode, "again", {});
  EXPECT_FALSE(again.has_value());
}

TEST_P(ConformanceTrees, WhatIsGivenUpIsReclaimed) {
  const InodeId detached = Value(service().CreateDetached(ctx_, 0755));
  const ReservedObject inside = ReserveOne(detached), alone = ReserveOne(kRootInode);
  EXPECT_OK(Add(detached, {File("f", inside, 1)}));
  const InodeId given_up[] = {detached, alone.inode};
  EXPECT_OK(service().Discard(ctx_, given_up));
  std::set<InodeId> reclaimed;
  for (const ReclaimItem& item : Value(service().WaitReclaimable(10, std::chrono::seconds(10)))) {
    reclaimed.insert(item.inode);
    EXPECT_EQ(item.replicas.size(), 1u);
    EXPECT_OK(service().Reclaimed({&item, 1}));
  }
  EXPECT_EQ(reclaimed, (std::set<InodeId>{inside.inode, alone.inode}));
  EXPECT_CODE(Code::kNotFound, service().GetAttr(ctx_, detached));
}

TEST_P(ConformanceTrees, TheEndOfASessionGivesUpWhatItHolds) {
  CallContext dying = ctx_;
  dying.session = Value(service().OpenSession({"dying", {}, nullptr}));
  std::swap(ctx_, dying);
  const InodeId detached = Value(service().CreateDetached(ctx_, 0755));
  const ReservedObject inside = ReserveOne(detached), alone = ReserveOne(kRootInode);
  EXPECT_OK(Add(detached, {File("f", inside, 1)}));
  std::swap(ctx_, dying);
  EXPECT_OK(service().CloseSession(dying.session));
  std::set<InodeId> reclaimed;
  for (const ReclaimItem& item : Value(service().WaitReclaimable(10, std::chrono::seconds(10))))
    reclaimed.insert(item.inode);
  EXPECT_EQ(reclaimed, (std::set<InodeId>{inside.inode, alone.inode}));
}

TEST_P(ConformanceTrees, SomeThousandsAtOnce) {
  std::vector<ReserveItem> items;
  for (int i = 0; i < 4000; ++i) items.push_back({"dir/file" + std::to_string(i), 1000, {}});
  const auto objects = Value(service().Reserve(ctx_, kRootInode, items));
  ASSERT_EQ(objects.size(), items.size());
  std::vector<TreeNode> nodes = {Directory("dir")};
  for (size_t i = 0; i < items.size(); ++i) nodes.push_back(File(items[i].path, objects[i], 1000));
  EXPECT_OK(service().AddTree(ctx_, kRootInode, nodes, IfExists::kFail));
  EXPECT_EQ(Names(Find("/dir").inode).size(), 4000u);
}

}  // namespace
}  // namespace pxfs::meta
