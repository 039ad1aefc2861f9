#include "meta/copy_queue.h"
#include "tests/meta/conformance/conformance_test.h"

namespace pxfs::meta {
namespace {

constexpr Hash128 kChecksum{0x1122334455667788, 0x99AABBCCDDEEFF00};

class ConformanceCopies : public ConformanceTest {
 protected:
  void SetUp() override {
    ConformanceTest::SetUp();
    file_ = MakeFile(kRootInode, "f", 0640, 42);  // where there is but one volume
    other_ = AddVolume("v2");
  }

  VolumeId AddVolume(const std::string& name) {
    VolumeInfo volume;
    volume.name = name;
    volume.uuid = "uuid-" + name;
    volume.path = "/volumes/" + name;
    const VolumeId id = Value(service().AddVolume(volume)).id;
    Report(id);
    return id;
  }
  static FinishedCopy Finished(const CopyTicket& ticket) {
    const Attr& attr = ticket.source.attr;
    return {ticket.object, attr.generation, kChecksum, attr.uid, attr.gid, attr.mode & 07777};
  }
  void Copy(VolumeId target) {
    EXPECT_OK(
        service().CommitCopy(ctx_, Finished(Value(service().BeginCopy(ctx_, file_, target)))));
  }
  std::vector<Replica> Replicas() { return Value(service().Locate(ctx_, file_)).replicas; }
  // Objects of the file that may be deleted.
  std::vector<ObjectRef> Reclaimable() {
    std::vector<ObjectRef> objects;
    for (const ReclaimItem& item :
         Value(service().WaitReclaimable(100, std::chrono::milliseconds(0)))) {
      for (const Replica& replica : item.replicas)
        objects.push_back({item.inode, replica.volume, replica.object_generation});
    }
    return objects;
  }

  VolumeId other_;
  InodeId file_;
};
PXFS_BOTH_SHAPES(ConformanceCopies);

TEST_P(ConformanceCopies, ACopyCountsOnceItIsCommitted) {
  const CopyTicket ticket = Value(service().BeginCopy(ctx_, file_, other_));
  EXPECT_EQ(ticket.source.attr.size_bytes, 42u);
  EXPECT_EQ(ticket.object.inode, file_);
  EXPECT_EQ(ticket.object.volume, other_);
  EXPECT_EQ(Replicas().size(), 1u);
  EXPECT_OK(service().CommitCopy(ctx_, Finished(ticket)));
  const auto replicas = Replicas();
  ASSERT_EQ(replicas.size(), 2u);
  EXPECT_TRUE(replicas[0].primary);
  EXPECT_EQ(replicas[0].checksum, kChecksum);
  EXPECT_FALSE(replicas[1].primary);
  EXPECT_EQ(replicas[1].volume, other_);
  EXPECT_EQ(replicas[1].object_generation, ticket.object.object_generation);
  EXPECT_EQ(replicas[1].state, ReplicaState::kCurrent);
  EXPECT_EQ(replicas[1].checksum, kChecksum);
  EXPECT_EQ(Value(service().ListVolumeInodes(other_, {}, 10)), std::vector<InodeId>{file_});
  EXPECT_CODE(Code::kInvalid, service().CommitCopy(ctx_, Finished(ticket))) << "only once";
}

TEST_P(ConformanceCopies, WhatCannotBeCopied) {
  EXPECT_CODE(Code::kInvalid, service().BeginCopy(ctx_, MakeDirectory(kRootInode, "d"), other_));
  EXPECT_CODE(Code::kNotFound, service().BeginCopy(ctx_, InodeId(999'999), other_));
  EXPECT_CODE(Code::kNotFound, service().BeginCopy(ctx_, file_, VolumeId(99)));
  EXPECT_CODE(Code::kExists, service().BeginCopy(ctx_, file_, volume_));
  Report(other_, 41);
  EXPECT_CODE(Code::kNoSpace, service().BeginCopy(ctx_, file_, other_));
  EXPECT_OK(service().ReportVolume({other_, true, true, 1 << 30, 1 << 29, ""}));
  EXPECT_CODE(Code::kReadOnly, service().BeginCopy(ctx_, file_, other_));
  EXPECT_OK(service().ReportVolume({other_, false, false, 0, 0, "not mounted"}));
  EXPECT_CODE(Code::kUnavailable, service().BeginCopy(ctx_, file_, other_));
  Report(other_);
  EXPECT_OK(service().OpenForWrite(ctx_, file_, {}));
  EXPECT_CODE(Code::kBusy, service().BeginCopy(ctx_, file_, other_));
  EXPECT_OK(service().CloseWrite(ctx_, file_, Content(1)));
  EXPECT_OK(service().BeginCopy(ctx_, file_, other_));
  EXPECT_CODE(Code::kBusy, service().BeginCopy(ctx_, file_, other_));
}

TEST_P(ConformanceCopies, ACopyOfWhatHasChangedIsNoCopy) {
  const CopyTicket written = Value(service().BeginCopy(ctx_, file_, other_));
  EXPECT_OK(service().OpenForWrite(ctx_, file_, {}));
  EXPECT_CODE(Code::kStale, service().CommitCopy(ctx_, Finished(written)));
  EXPECT_OK(service().CloseWrite(ctx_, file_, Content(1)));
  EXPECT_CODE(Code::kStale, service().CommitCopy(ctx_, Finished(written)));
  const InodeId file = file_;
  EXPECT_OK(service().Discard(ctx_, std::span(&file, 1)));
  EXPECT_EQ(Replicas().size(), 1u);
  const auto reclaimable = Reclaimable();
  ASSERT_EQ(reclaimable.size(), 1u);
  EXPECT_EQ(reclaimable[0].volume, other_);
  EXPECT_EQ(reclaimable[0].object_generation, written.object.object_generation);

  const CopyTicket changed = Value(service().BeginCopy(ctx_, file_, other_));
  EXPECT_NE(changed.object.object_generation, written.object.object_generation)
      << "its object is not deleted yet";
  AttrChange mode;
  mode.mode = 0600;
  EXPECT_OK(service().SetAttr(ctx_, file_, mode));
  FinishedCopy finished = Finished(changed);
  EXPECT_CODE(Code::kBusy, service().CommitCopy(ctx_, finished));
  finished.mode = 0600;
  EXPECT_OK(service().CommitCopy(ctx_, finished));

  const CopyTicket removed = Value(service().BeginCopy(ctx_, file_, AddVolume("v3")));
  EXPECT_OK(service().Unlink(ctx_, kRootInode, "f"));
  EXPECT_CODE(Code::kStale, service().CommitCopy(ctx_, Finished(removed)));
}

TEST_P(ConformanceCopies, WhatASessionLeavesIsReclaimed) {
  CallContext copier = ctx_;
  copier.session = Value(service().OpenSession({"copier", {}, nullptr}));
  const CopyTicket ticket = Value(service().BeginCopy(copier, file_, other_));
  EXPECT_OK(service().CloseSession(copier.session));
  const auto reclaimable = Reclaimable();
  ASSERT_EQ(reclaimable.size(), 1u);
  EXPECT_EQ(reclaimable[0].object_generation, ticket.object.object_generation);
  EXPECT_EQ(Replicas().size(), 1u);
  // It is nothing that a tree could take as a file's content either.
  const CopyTicket again = Value(service().BeginCopy(ctx_, file_, other_));
  TreeNode node;
  node.path = "g";
  node.mode = S_IFREG | 0644;
  node.object = {again.object.inode, again.object.volume, again.object.object_generation};
  EXPECT_CODE(Code::kInvalid,
              service().AddTree(ctx_, kRootInode, std::span(&node, 1), IfExists::kFail));
}

TEST_P(ConformanceCopies, WritingMakesCopiesStale) {
  Copy(other_);
  EXPECT_OK(service().OpenForWrite(ctx_, file_, {}));
  auto replicas = Replicas();
  EXPECT_EQ(replicas.at(0).volume, volume_);
  EXPECT_EQ(replicas.at(1).state, ReplicaState::kStale);
  EXPECT_OK(service().CloseWrite(ctx_, file_, Content(7)));
  EXPECT_EQ(Replicas().at(1).state, ReplicaState::kStale);
  // A new copy takes the place of the stale one, whose object goes.
  Copy(other_);
  replicas = Replicas();
  ASSERT_EQ(replicas.size(), 2u);
  EXPECT_EQ(replicas[1].state, ReplicaState::kCurrent);
  EXPECT_EQ(Reclaimable().size(), 1u);
}

TEST_P(ConformanceCopies, AWriterGoesOnWithTheReplicaThatItHas) {
  Copy(other_);
  EXPECT_EQ(Value(service().OpenForWrite(ctx_, file_, other_)).replicas.at(0).volume, other_);
  EXPECT_TRUE(Replicas().at(0).primary);
  EXPECT_EQ(Replicas().at(1).state, ReplicaState::kStale);
  // What is written already stays where it is.
  CallContext second = ctx_;
  second.session = Value(service().OpenSession({"second", {}, nullptr}));
  EXPECT_EQ(Value(service().OpenForWrite(second, file_, volume_)).replicas.at(0).volume, other_);
  EXPECT_OK(service().CloseWrite(second, file_, Content(1)));
  EXPECT_OK(service().CloseWrite(ctx_, file_, Content(1)));
  // A preference for what is stale counts for nothing.
  EXPECT_EQ(Value(service().OpenForWrite(ctx_, file_, volume_)).replicas.at(0).volume, other_);
  EXPECT_OK(service().CloseWrite(ctx_, file_, Content(1)));
}

TEST_P(ConformanceCopies, TheLastCopyStays) {
  const auto ref = [&](const Replica& replica) {
    return ObjectRef{file_, replica.volume, replica.object_generation};
  };
  EXPECT_CODE(Code::kNotPermitted, service().DropReplica(ctx_, ref(Replicas().at(0))));
  Copy(other_);
  const auto both = Replicas();
  EXPECT_CODE(Code::kNotFound, service().DropReplica(ctx_, {file_, other_, 77}));
  // The other one is out of reach.
  EXPECT_OK(service().ReportVolume({other_, false, false, 0, 0, "not mounted"}));
  EXPECT_CODE(Code::kNotPermitted, service().DropReplica(ctx_, ref(both[0])));
  Report(other_);
  // The writes of an open file go on.
  EXPECT_OK(service().OpenForWrite(ctx_, file_, {}));
  EXPECT_CODE(Code::kBusy, service().DropReplica(ctx_, ref(both[0])));
  EXPECT_OK(service().CloseWrite(ctx_, file_, Content(42)));
  Copy(other_);
  // A primary hands over.
  EXPECT_OK(service().DropReplica(ctx_, ref(both[0])));
  const auto left = Replicas();
  ASSERT_EQ(left.size(), 1u);
  EXPECT_TRUE(left[0].primary);
  EXPECT_EQ(left[0].volume, other_);
  EXPECT_EQ(Value(service().ListVolumeInodes(volume_, {}, 10)), std::vector<InodeId>{});
  const auto reclaimable = Reclaimable();
  EXPECT_TRUE(std::any_of(reclaimable.begin(), reclaimable.end(), [&](const ObjectRef& object) {
    return object.volume == volume_ && object.object_generation == both[0].object_generation;
  }));
}

TEST_P(ConformanceCopies, AFileMayAskForCopiesItself) {
  CopyWishes wishes{2, {other_}};
  EXPECT_OK(service().SetCopyWishes(ctx_, file_, wishes));
  EXPECT_EQ(Value(service().Locate(ctx_, file_)).wishes, wishes);
  EXPECT_FALSE(Value(service().ScanRecords(kCopyQueuePrefix, "", 10)).empty());
  EXPECT_EQ(Value(service().GetCopyCensus()).under_replicated.files, 1u);
  EXPECT_EQ(Value(service().GetCopyCensus()).under_replicated.bytes, 42u);
  EXPECT_CODE(Code::kInvalid, service().SetCopyWishes(ctx_, file_, {3, {}}));
  EXPECT_CODE(Code::kInvalid, service().SetCopyWishes(ctx_, file_, {0, {VolumeId(99)}}));
  EXPECT_CODE(Code::kInvalid,
              service().SetCopyWishes(ctx_, MakeDirectory(kRootInode, "d"), {1, {}}));
  EXPECT_CODE(Code::kNotPermitted, service().SetCopyWishes(As(kUser), file_, {}));
  EXPECT_OK(service().SetCopyWishes(ctx_, file_, {}));
  EXPECT_TRUE(Value(service().Locate(ctx_, file_)).wishes.empty());
}

TEST_P(ConformanceCopies, AVolumeThatCanTakeNoCopyIsNotAskedFor) {
  const auto ask = [&] { return service().SetCopyWishes(ctx_, file_, {0, {volume_, other_}}); };
  Report(other_, 41);
  EXPECT_CODE(Code::kNoSpace, ask());
  EXPECT_OK(service().ReportVolume({other_, true, true, 1 << 30, 1 << 29, ""}));
  EXPECT_CODE(Code::kReadOnly, ask());
  EXPECT_OK(service().ReportVolume({other_, false, false, 0, 0, "not mounted"}));
  EXPECT_CODE(Code::kUnavailable, ask());
  EXPECT_TRUE(Value(service().Locate(ctx_, file_)).wishes.empty());
  Report(other_);
  EXPECT_OK(ask());
  // What was asked for before stays possible to ask for.
  EXPECT_OK(service().ReportVolume({other_, false, false, 0, 0, "not mounted"}));
  EXPECT_OK(ask());
}

TEST_P(ConformanceCopies, WritersLeaveAVolumeThatIsDraining) {
  Copy(other_);
  const auto drain = [&](VolumeId id) {
    for (VolumeInfo volume : Value(service().ListVolumes())) {
      if (volume.id != id) continue;
      volume.state = VolumeState::kDraining;
      EXPECT_OK(service().UpdateVolume(volume));
    }
  };
  drain(volume_);
  EXPECT_EQ(Value(service().OpenForWrite(ctx_, file_, {})).replicas.front().volume, other_);
  EXPECT_OK(service().CloseWrite(ctx_, file_, Content(1)));
  // The only one takes writes all the same.
  drain(other_);
  EXPECT_EQ(Value(service().OpenForWrite(ctx_, file_, {})).replicas.front().volume, other_);
  EXPECT_OK(service().CloseWrite(ctx_, file_, Content(1)));
}

TEST_P(ConformanceCopies, ABadReplicaLeavesItsPartToAGoodOne) {
  const auto ref = [&](const Replica& replica) {
    return ObjectRef{file_, replica.volume, replica.object_generation};
  };
  const uint64_t generation = Stat(file_).generation;
  const Replica only = Replicas().at(0);
  EXPECT_CODE(Code::kNotPermitted, service().ReportScrub({ref(only), generation, false, {}}));
  EXPECT_CODE(Code::kStale, service().ReportScrub({ref(only), generation + 1, true, kChecksum}));
  EXPECT_OK(service().ReportScrub({ref(only), generation, true, kChecksum}));
  EXPECT_EQ(Replicas().at(0).checksum, kChecksum);
  EXPECT_GT(Replicas().at(0).verified_seconds, 0);
  EXPECT_CODE(Code::kStale, service().ReportScrub({ref(only), generation, true, {1, 2}}));
  Copy(other_);
  EXPECT_GT(Replicas().at(1).verified_seconds, 0);
  EXPECT_OK(service().ReportScrub({ref(only), generation, false, {}}));
  EXPECT_EQ(Replicas().at(0).volume, other_);
  EXPECT_TRUE(Replicas().at(0).primary);
  EXPECT_EQ(Replicas().at(1).state, ReplicaState::kStale);
  EXPECT_EQ(Value(service().GetCopyCensus()).stale.files, 1u);
  EXPECT_CODE(Code::kNotFound, service().ReportScrub({{file_, other_, 99}, generation, true, {}}));
  EXPECT_OK(service().OpenForWrite(ctx_, file_, {}));
  EXPECT_CODE(Code::kBusy,
              service().ReportScrub({ref(Replicas().at(0)), Stat(file_).generation, true, {}}));
}

TEST_P(ConformanceCopies, AVolumeInUseIsNotRemoved) {
  EXPECT_CODE(Code::kNotFound, service().RemoveVolume(VolumeId(99), false));
  EXPECT_CODE(Code::kNotEmpty, service().RemoveVolume(volume_, false));
  EXPECT_CODE(Code::kBusy, service().RemoveVolume(volume_, true)) << "it can be reached";
  const CopyTicket ticket = Value(service().BeginCopy(ctx_, file_, other_));
  EXPECT_CODE(Code::kBusy, service().RemoveVolume(other_, false));
  EXPECT_OK(service().CommitCopy(ctx_, Finished(ticket)));
  EXPECT_OK(service().DropReplica(ctx_, {file_, other_, ticket.object.object_generation}));
  EXPECT_CODE(Code::kBusy, service().RemoveVolume(other_, false)) << "its object is still there";
  const auto items = Value(service().WaitReclaimable(100, std::chrono::milliseconds(0)));
  EXPECT_OK(service().Reclaimed(items));
  Policy pin;
  pin.placement = Placement::kPin;
  pin.pin_volume = "v2";
  EXPECT_OK(service().SetPolicy(ctx_, kRootInode, pin));
  EXPECT_CODE(Code::kInvalid, service().RemoveVolume(other_, false));
  EXPECT_OK(service().SetPolicy(ctx_, kRootInode, {}));
  EXPECT_OK(service().RemoveVolume(other_, false));
  EXPECT_EQ(Value(service().ListVolumes()).size(), 1u);
  AddVolume("v2");  // its name is free again
}

TEST_P(ConformanceCopies, WhatIsLostWithAVolumeIsCountedAndStays) {
  Copy(other_);
  const InodeId alone = MakeFile(kRootInode, "alone", 0644, 7);
  const VolumeId lost = Value(service().Locate(ctx_, alone)).replicas.at(0).volume;
  EXPECT_OK(service().ReportVolume({lost, false, false, 0, 0, "not mounted"}));
  auto census = Value(service().GetCopyCensus());
  ASSERT_EQ(census.lost.size(), 1u);
  EXPECT_EQ(census.lost[0].volume, lost);
  EXPECT_FALSE(census.lost[0].removed);
  EXPECT_EQ(census.lost[0].count.files, 1u);
  EXPECT_EQ(census.lost[0].count.bytes, 7u);
  EXPECT_CODE(Code::kNotEmpty, service().RemoveVolume(lost, false));
  EXPECT_OK(service().RemoveVolume(lost, true));
  EXPECT_EQ(Value(service().ListVolumes()).size(), 1u);

  // The one with a copy goes on with that.
  ASSERT_EQ(Replicas().size(), 1u);
  EXPECT_TRUE(Replicas()[0].primary);
  EXPECT_NE(Replicas()[0].volume, lost);
  EXPECT_OK(service().OpenForWrite(ctx_, file_, {}));
  EXPECT_OK(service().CloseWrite(ctx_, file_, Content(1)));
  // The other one is known to be lost until it is removed.
  const auto replicas = Value(service().Locate(ctx_, alone)).replicas;
  ASSERT_EQ(replicas.size(), 1u);
  EXPECT_EQ(replicas[0].state, ReplicaState::kMissing);
  EXPECT_CODE(Code::kUnavailable, service().OpenForWrite(ctx_, alone, {}));
  census = Value(service().GetCopyCensus());
  ASSERT_EQ(census.lost.size(), 1u);
  EXPECT_TRUE(census.lost[0].removed);
  EXPECT_EQ(census.lost[0].name, lost == other_ ? "v2" : "v1");
  EXPECT_OK(service().Unlink(ctx_, kRootInode, "alone"));
  EXPECT_TRUE(Value(service().GetCopyCensus()).lost.empty());
}

}  // namespace
}  // namespace pxfs::meta
