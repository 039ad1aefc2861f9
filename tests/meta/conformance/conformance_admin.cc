#include "tests/meta/conformance/conformance_test.h"

namespace pxfs::meta {
namespace {

using ConformanceAdmin = ConformanceTest;
PXFS_BOTH_SHAPES(ConformanceAdmin);

TEST_P(ConformanceAdmin, Volumes) {
  VolumeInfo second;
  second.name = "fast";
  second.uuid = "uuid-2";
  second.path = "/volumes/\xff\xfe";
  second.node = NodeId(3);
  second.weight = 2.5;
  second.reserve_bytes = 12345;
  second.labels = {{"tier", "ssd"}, {"rack", "1"}};
  const VolumeInfo added = Value(service().AddVolume(second));
  EXPECT_NE(added.id, VolumeId());
  EXPECT_CODE(Code::kExists, service().AddVolume(second));
  EXPECT_OK(service().ReportVolume({added.id, false, false, 100, 50, "disk on fire"}));
  const auto find = [&](VolumeId id) {
    for (const VolumeInfo& volume : Value(service().ListVolumes()))
      if (volume.id == id) return volume;
    ADD_FAILURE() << "volume " << id.value << " is not listed";
    return VolumeInfo();
  };
  VolumeInfo listed = find(added.id);
  EXPECT_EQ(listed.name, "fast");
  EXPECT_EQ(listed.uuid, "uuid-2");
  EXPECT_EQ(listed.path, second.path);
  EXPECT_EQ(listed.node, NodeId(3));
  EXPECT_EQ(listed.weight, 2.5);
  EXPECT_EQ(listed.reserve_bytes, 12345u);
  EXPECT_EQ(listed.labels, second.labels);
  EXPECT_EQ(listed.state, VolumeState::kOffline);
  EXPECT_EQ(listed.total_bytes, 100u);
  EXPECT_EQ(listed.free_bytes, 50u);
  EXPECT_EQ(listed.problem, "disk on fire");

  Report(added.id);
  listed.state = VolumeState::kDraining;
  listed.weight = 0.5;
  listed.reserve_bytes = 1;
  listed.labels = {{"tier", "hdd"}};
  EXPECT_OK(service().UpdateVolume(listed));
  const VolumeInfo updated = find(added.id);
  EXPECT_EQ(updated.state, VolumeState::kDraining);
  EXPECT_EQ(updated.weight, 0.5);
  EXPECT_EQ(updated.labels, listed.labels);
  VolumeInfo unknown = listed;
  unknown.id = VolumeId(999);
  EXPECT_CODE(Code::kNotFound, service().UpdateVolume(unknown));
  // Nothing says that a path or a description is UTF-8.
  EXPECT_OK(service().OpenSession({"mount /\xff", {}, nullptr}));
  ASSERT_TRUE(deployment_->Reopen());
  EXPECT_EQ(find(added.id).path, second.path);
}

TEST_P(ConformanceAdmin, InodesOfAVolume) {
  std::vector<InodeId> files;
  for (int i = 0; i < 10; ++i)
    files.push_back(MakeFile(kRootInode, "f" + std::to_string(i), 0644, 10));
  std::vector<InodeId> listed;
  InodeId after;
  for (;;) {
    const auto page = Value(service().ListVolumeInodes(volume_, after, 3));
    EXPECT_LE(page.size(), 3u);
    if (page.empty()) break;
    listed.insert(listed.end(), page.begin(), page.end());
    after = page.back();
  }
  EXPECT_EQ(listed, files);
  EXPECT_TRUE(Value(service().ListVolumeInodes(VolumeId(999), {}, 3)).empty());
  EXPECT_EQ(Value(service().ListVolumes()).at(0).objects, 10u);
  EXPECT_EQ(Value(service().ListVolumes()).at(0).object_bytes, 100u);
}

TEST_P(ConformanceAdmin, PoliciesAreInherited) {
  const InodeId above = MakeDirectory(kRootInode, "above"), below = MakeDirectory(above, "below");
  PolicyView view = Value(service().GetPolicy(below));
  EXPECT_TRUE(view.own.empty());
  EXPECT_EQ(view.effective.placement, Placement::kSpread);
  EXPECT_EQ(view.effective.copies, 1u);
  EXPECT_EQ(view.set_on, InodeId());
  Policy policy;
  policy.placement = Placement::kPin;
  policy.pin_volume = "v1";
  policy.hot = false;
  policy.max_copies = 7;
  EXPECT_OK(service().SetPolicy(ctx_, above, policy));
  Policy lower;
  lower.copies = 1;
  EXPECT_OK(service().SetPolicy(ctx_, below, lower));
  view = Value(service().GetPolicy(below));
  EXPECT_EQ(view.own.copies, 1u);
  EXPECT_FALSE(view.own.placement.has_value());
  EXPECT_EQ(view.effective.placement, Placement::kPin);
  EXPECT_EQ(view.effective.pin_volume, "v1");
  EXPECT_EQ(view.effective.hot, false);
  EXPECT_EQ(view.effective.max_copies, 7u);
  EXPECT_EQ(view.set_on, below);
  EXPECT_OK(service().SetPolicy(ctx_, below, {}));
  view = Value(service().GetPolicy(below));
  EXPECT_TRUE(view.own.empty());
  EXPECT_EQ(view.set_on, above);
}

TEST_P(ConformanceAdmin, PolicyErrors) {
  Policy policy;
  policy.placement = Placement::kPin;
  policy.pin_volume = "nowhere";
  const auto unknown = service().SetPolicy(ctx_, kRootInode, policy);
  EXPECT_CODE(Code::kInvalid, unknown);
  EXPECT_THAT(unknown.error().message(), testing::HasSubstr("nowhere"));
  policy = {};
  policy.copies = 5;
  EXPECT_CODE(Code::kInvalid, service().SetPolicy(ctx_, kRootInode, policy));
  policy.copies = 1;
  EXPECT_CODE(Code::kNotDirectory, service().SetPolicy(ctx_, MakeFile(kRootInode, "f"), policy));
  EXPECT_CODE(Code::kNotFound, service().SetPolicy(ctx_, InodeId(999'999), policy));
  EXPECT_CODE(Code::kNotFound, service().GetPolicy(InodeId(999'999)));
}

TEST_P(ConformanceAdmin, Records) {
  const std::string binary("\0\xff\n", 3);
  const std::vector<RecordWrite> writes = {{"job/1", "one"},
                                           {"job/2", binary},
                                           {"job/3", ""},
                                           {"jobs", "other"},
                                           {std::string("job/\xff\xff"), "last"}};
  EXPECT_OK(service().WriteRecords(writes, false));
  auto records = Value(service().ScanRecords("job/", "", 2));
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].key, "job/1");
  EXPECT_EQ(records[1].value, binary);
  records = Value(service().ScanRecords("job/", "2", 10));
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].key, "job/3");
  EXPECT_EQ(records[0].value, "");
  EXPECT_EQ(records[1].key, "job/\xff\xff");
  const std::vector<RecordWrite> changes = {{"job/1", "changed"}, {"job/2", std::nullopt}};
  EXPECT_OK(service().WriteRecords(changes, true));
  records = Value(service().ScanRecords("job/", "", 10));
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].value, "changed");
  EXPECT_TRUE(Value(service().ScanRecords("nothing", "", 10)).empty());
}

TEST_P(ConformanceAdmin, EverythingSurvivesReopening) {
  const InodeId directory = MakeDirectory(kRootInode, "d", 0711);
  const InodeId file = MakeFile(directory, "f", 0644, 33);
  EXPECT_OK(service().SetXattr(ctx_, file, "user.a", "value", 0));
  Policy policy;
  policy.max_copies = 3;
  EXPECT_OK(service().SetPolicy(ctx_, directory, policy));
  const std::vector<RecordWrite> records = {{"key", "value"}};
  EXPECT_OK(service().WriteRecords(records, false));
  const Attr before = Stat(file);
  ASSERT_TRUE(deployment_->Reopen());
  Report(volume_);
  const Attr after = Stat(file);
  EXPECT_EQ(after.mode, before.mode);
  EXPECT_EQ(after.size_bytes, before.size_bytes);
  EXPECT_EQ(after.ctime, before.ctime);
  EXPECT_EQ(Value(service().PathOf(file)), "/d/f");
  EXPECT_EQ(Value(service().GetXattr(ctx_, file, "user.a")), "value");
  EXPECT_EQ(Value(service().GetPolicy(directory)).own.max_copies, 3u);
  EXPECT_EQ(Value(service().ScanRecords("key", "", 10)).size(), 1u);
  EXPECT_EQ(Value(service().ListVolumes()).at(0).object_bytes, 33u);
}

}  // namespace
}  // namespace pxfs::meta
