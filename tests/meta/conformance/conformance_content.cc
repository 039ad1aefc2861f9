#include "tests/meta/conformance/conformance_test.h"

namespace pxfs::meta {
namespace {

using ConformanceContent = ConformanceTest;
PXFS_BOTH_SHAPES(ConformanceContent);

TEST_P(ConformanceContent, Locate) {
  const InodeId file = MakeFile(kRootInode, "f", 0644, 42);
  const Location location = Value(service().Locate(ctx_, file));
  EXPECT_EQ(location.attr.inode, file);
  EXPECT_EQ(location.attr.size_bytes, 42u);
  ASSERT_EQ(location.replicas.size(), 1u);
  EXPECT_EQ(location.replicas[0].volume, volume_);
  EXPECT_TRUE(location.replicas[0].materialized);
  EXPECT_EQ(location.replicas[0].generation, location.attr.generation);
  EXPECT_TRUE(Value(service().Locate(ctx_, kRootInode)).replicas.empty());
  EXPECT_CODE(Code::kNotFound, service().Locate(ctx_, InodeId(999'999)));
}

TEST_P(ConformanceContent, WritingRaisesTheGeneration) {
  const InodeId file = MakeFile(kRootInode, "f");
  ContentState content = Content(7);
  content.checksum = Hash128{0x1234567890ABCDEF, 0xFEDCBA0987654321};
  const uint64_t before = Stat(file).generation;
  const Location open = Value(service().OpenForWrite(ctx_, file, {}));
  EXPECT_EQ(open.attr.generation, before + 1);
  EXPECT_TRUE(open.attr.open_for_write);
  EXPECT_EQ(open.replicas.at(0).generation, before + 1);
  EXPECT_EQ(Value(service().OpenForWrite(ctx_, file, {})).attr.generation, before + 1)
      << "open already: it only answers";
  EXPECT_OK(service().CommitContent(ctx_, file, Content(3)));
  EXPECT_EQ(Stat(file).size_bytes, 3u);
  EXPECT_TRUE(Stat(file).open_for_write);
  EXPECT_OK(service().CloseWrite(ctx_, file, content));
  const Location closed = Value(service().Locate(ctx_, file));
  EXPECT_FALSE(closed.attr.open_for_write);
  EXPECT_EQ(closed.attr.size_bytes, 7u);
  EXPECT_EQ(closed.attr.mtime, content.mtime);
  EXPECT_EQ(closed.attr.atime, content.atime);
  EXPECT_EQ(closed.replicas.at(0).checksum, content.checksum);
}

TEST_P(ConformanceContent, TwoSessionsWrite) {
  const InodeId file = MakeFile(kRootInode, "f");
  CallContext other = ctx_;
  other.session = Value(service().OpenSession({"other", {}, nullptr}));
  EXPECT_OK(service().OpenForWrite(ctx_, file, {}));
  EXPECT_OK(service().OpenForWrite(other, file, {}));
  EXPECT_OK(service().CloseWrite(ctx_, file, Content(1)));
  EXPECT_TRUE(Stat(file).open_for_write);
  EXPECT_OK(service().CloseWrite(other, file, Content(2)));
  EXPECT_FALSE(Stat(file).open_for_write);
  EXPECT_EQ(Stat(file).size_bytes, 2u);
}

// The replica in state kCopying, if there is one.
std::optional<Replica> CopyOf(const Location& location) {
  for (const Replica& replica : location.replicas)
    if (replica.state == ReplicaState::kCopying) return replica;
  return std::nullopt;
}

class ConformanceMove : public ConformanceTest {
 protected:
  void SetUp() override {
    ConformanceTest::SetUp();
    if (HasFatalFailure()) return;
    VolumeInfo volume;
    volume.name = "v2";
    volume.uuid = "uuid 2";
    volume.path = "/volumes/2";
    second_ = Value(service().AddVolume(volume)).id;
    file_ = MakeFile(kRootInode, "f", 0644, 100);
    Report(volume_, 0);
    Report(second_);
  }
  // What waits to be reclaimed: (volume, object generation).
  std::vector<std::pair<VolumeId, uint64_t>> Reclaimable() {
    std::vector<std::pair<VolumeId, uint64_t>> objects;
    for (const ReclaimItem& item :
         Value(service().WaitReclaimable(100, std::chrono::milliseconds(0))))
      for (const Replica& replica : item.replicas)
        objects.emplace_back(replica.volume, replica.object_generation);
    return objects;
  }

  VolumeId second_;
  InodeId file_;
};
PXFS_BOTH_SHAPES(ConformanceMove);

TEST_P(ConformanceMove, AFileOnAFullVolumeMovesBeforeItIsWritten) {
  const Location open = Value(service().OpenForWrite(ctx_, file_, {}));
  const auto copy = CopyOf(open);
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->volume, second_);
  EXPECT_EQ(open.replicas.front().volume, volume_) << "the primary comes first";
  EXPECT_EQ(CopyOf(Value(service().OpenForWrite(ctx_, file_, {})))->object_generation,
            copy->object_generation)
      << "asked again, the same";
  const Location moved = Value(service().EndMove(ctx_, file_, copy->object_generation, true));
  ASSERT_EQ(moved.replicas.size(), 1u);
  EXPECT_EQ(moved.replicas[0].volume, second_);
  EXPECT_TRUE(moved.replicas[0].primary && moved.replicas[0].materialized);
  EXPECT_EQ(moved.replicas[0].generation, moved.attr.generation);
  EXPECT_EQ(Value(service().EndMove(ctx_, file_, copy->object_generation, true)).replicas.size(),
            1u)
      << "a repetition";
  EXPECT_THAT(Reclaimable(), testing::ElementsAre(std::pair(volume_, uint64_t{1})));
  EXPECT_OK(service().CloseWrite(ctx_, file_, Content(7)));
  EXPECT_FALSE(CopyOf(Value(service().OpenForWrite(ctx_, file_, {})))) << "there is room";
}

TEST_P(ConformanceMove, WhatIsNotMovedIsReclaimed) {
  const auto copy = CopyOf(Value(service().OpenForWrite(ctx_, file_, {})));
  ASSERT_TRUE(copy);
  EXPECT_EQ(Value(service().EndMove(ctx_, file_, copy->object_generation, false)).replicas.size(),
            1u);
  EXPECT_THAT(Reclaimable(), testing::ElementsAre(std::pair(second_, copy->object_generation)));
  EXPECT_CODE(Code::kStale, service().EndMove(ctx_, file_, copy->object_generation, true));
  EXPECT_OK(service().CloseWrite(ctx_, file_, Content(1)));

  const auto left = CopyOf(Value(service().OpenForWrite(ctx_, file_, {})));
  ASSERT_TRUE(left);
  EXPECT_GT(left->object_generation, copy->object_generation) << "never the same object again";
  EXPECT_OK(service().CloseWrite(ctx_, file_, Content(1)));
  EXPECT_EQ(Value(service().Locate(ctx_, file_)).replicas.size(), 1u);
}

TEST_P(ConformanceMove, AnotherWriterEndsIt) {
  CallContext other = ctx_;
  other.session = Value(service().OpenSession({"other", {}, nullptr}));
  const auto copy = CopyOf(Value(service().OpenForWrite(ctx_, file_, {})));
  ASSERT_TRUE(copy);
  EXPECT_OK(service().OpenForWrite(other, file_, {}));
  EXPECT_CODE(Code::kStale, service().EndMove(ctx_, file_, copy->object_generation, true));
  EXPECT_OK(service().CloseWrite(other, file_, Content(1)));
  EXPECT_CODE(Code::kStale, service().EndMove(ctx_, file_, copy->object_generation, true))
      << "it may have been written";
  EXPECT_OK(service().CloseWrite(ctx_, file_, Content(1)));
  EXPECT_EQ(Value(service().Locate(ctx_, file_)).replicas.front().volume, volume_);
}

TEST_P(ConformanceMove, ADeadSessionLeavesNoCopy) {
  CallContext dead = ctx_;
  dead.session = Value(service().OpenSession({"dead", {}, nullptr}));
  ASSERT_TRUE(CopyOf(Value(service().OpenForWrite(dead, file_, {}))));
  EXPECT_OK(service().CloseSession(dead.session));
  ASSERT_EQ(Value(service().FilesToRecover()).size(), 1u);
  EXPECT_OK(service().CommitRecovered(file_, Content(1)));
  EXPECT_EQ(Value(service().Locate(ctx_, file_)).replicas.size(), 1u);
}

TEST_P(ConformanceMove, NowhereToGo) {
  Report(second_, 0);
  EXPECT_FALSE(CopyOf(Value(service().OpenForWrite(ctx_, file_, {}))));
  EXPECT_OK(service().CloseWrite(ctx_, file_, Content(1)));
  Report(second_);
  Policy pinned;
  pinned.placement = Placement::kPin;
  pinned.pin_volume = "v1";
  EXPECT_OK(service().SetPolicy(ctx_, kRootInode, pinned));
  EXPECT_FALSE(CopyOf(Value(service().OpenForWrite(ctx_, file_, {}))));
}

TEST_P(ConformanceContent, OpenForWriteErrors) {
  const InodeId file = MakeFile(kRootInode, "f");
  EXPECT_CODE(Code::kIsDirectory, service().OpenForWrite(ctx_, kRootInode, {}));
  EXPECT_CODE(Code::kInvalid, service().OpenForWrite(ctx_, MakeSymlink(kRootInode, "l", "f"), {}));
  EXPECT_CODE(Code::kNotFound, service().OpenForWrite(ctx_, InodeId(999'999), {}));
  EXPECT_CODE(Code::kAccess, service().OpenForWrite(As(kUser), file, {}));
  EXPECT_CODE(Code::kInvalid, service().CloseWrite(ctx_, file, Content(0))) << "it is not open";
  EXPECT_CODE(Code::kInvalid, service().CommitContent(ctx_, file, Content(0)));
  EXPECT_OK(service().ReportVolume({volume_, true, true, 1 << 30, 1 << 29, ""}));
  EXPECT_CODE(Code::kReadOnly, service().OpenForWrite(ctx_, file, {}));
  EXPECT_OK(service().ReportVolume({volume_, false, false, 0, 0, "not mounted"}));
  const auto offline = service().OpenForWrite(ctx_, file, {});
  EXPECT_CODE(Code::kUnavailable, offline);
  EXPECT_THAT(offline.error().message(), testing::HasSubstr("v1"));
  CallContext nobody = ctx_;
  nobody.session = SessionId(999'999);
  EXPECT_CODE(Code::kInvalid, service().OpenForWrite(nobody, file, {}));
}

TEST_P(ConformanceContent, OrphansLiveUntilForgotten) {
  RecordingListener listener;
  CallContext mount = ctx_;
  mount.session = Value(service().OpenSession({"mount", {}, &listener}));
  const InodeId file = MakeFile(kRootInode, "f", 0644, 9);
  EXPECT_TRUE(Value(service().Unlink(ctx_, kRootInode, "f")).orphaned);
  EXPECT_THAT(listener.Take(), testing::Contains(Invalidates(Invalidation::Kind::kOrphaned, file)));
  EXPECT_EQ(Stat(file).nlink, 0u);
  EXPECT_EQ(Value(service().GetStatistics()).orphans, 1u);
  EXPECT_TRUE(Value(service().WaitReclaimable(10, std::chrono::milliseconds(0))).empty());
  EXPECT_OK(service().OpenForWrite(mount, file, {}));
  EXPECT_OK(service().CloseWrite(mount, file, Content(10)));
  const InodeId inodes[] = {file, InodeId(999'999)};
  EXPECT_OK(service().Forget(mount.session, inodes));
  const auto items = Value(service().WaitReclaimable(10, std::chrono::seconds(10)));
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0].inode, file);
  ASSERT_EQ(items[0].replicas.size(), 1u);
  EXPECT_EQ(items[0].replicas[0].volume, volume_);
  EXPECT_EQ(Value(service().GetStatistics()).reclaim_queue, 1u);
  EXPECT_OK(service().Reclaimed(items));
  EXPECT_CODE(Code::kNotFound, service().GetAttr(ctx_, file));
  EXPECT_TRUE(Value(service().WaitReclaimable(10, std::chrono::milliseconds(0))).empty());
  EXPECT_EQ(Value(service().GetStatistics()).orphans, 0u);
  EXPECT_OK(service().CloseSession(mount.session));
}

TEST_P(ConformanceContent, WaitReclaimableWaits) {
  const InodeId file = MakeFile(kRootInode, "f");
  std::vector<ReclaimItem> items;
  std::thread waiter(
      [&] { items = Value(service().WaitReclaimable(10, std::chrono::seconds(30))); });
  EXPECT_OK(service().Unlink(ctx_, kRootInode, "f"));
  waiter.join();
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0].inode, file);
  EXPECT_OK(service().Reclaimed(items));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(Value(service().WaitReclaimable(10, std::chrono::milliseconds(700))).empty());
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(700));
}

TEST_P(ConformanceContent, FilesOfADeadSessionAreRecovered) {
  CallContext dying = ctx_;
  dying.session = Value(service().OpenSession({"dying", {}, nullptr}));
  const InodeId file = MakeFile(kRootInode, "f", 0644, 5);
  EXPECT_OK(service().OpenForWrite(dying, file, {}));
  EXPECT_TRUE(Value(service().FilesToRecover()).empty());
  EXPECT_OK(service().CloseSession(dying.session));
  EXPECT_TRUE(Stat(file).open_for_write);
  const auto files = Value(service().FilesToRecover());
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files[0].attr.inode, file);
  EXPECT_EQ(files[0].replicas.at(0).volume, volume_);
  EXPECT_OK(service().CommitRecovered(file, Content(77)));
  EXPECT_EQ(Stat(file).size_bytes, 77u);
  EXPECT_FALSE(Stat(file).open_for_write);
  EXPECT_TRUE(Value(service().FilesToRecover()).empty());
}

TEST_P(ConformanceContent, StatFsAndSync) {
  const uint64_t before = Value(service().GetStatFs()).inodes;
  MakeFile(kRootInode, "f");
  const StatFs stat = Value(service().GetStatFs());
  EXPECT_EQ(stat.total_bytes, 1ull << 40);
  EXPECT_EQ(stat.free_bytes, 1ull << 39);
  EXPECT_LE(stat.available_bytes, stat.free_bytes);
  EXPECT_EQ(stat.inodes, before + 1);
  EXPECT_OK(service().Sync());
}

}  // namespace
}  // namespace pxfs::meta
