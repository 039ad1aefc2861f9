// One suite over both shapes of the service: what meta/service.h promises, method by method.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "tests/meta/deployment.h"
#include "tests/meta/service_fixture.h"

namespace pxfs::meta {

inline constexpr uint32_t kUser = 1000;
inline const std::string kLongName(kMaxNameBytes, 'n');
inline const std::string kTooLongName(kMaxNameBytes + 1, 'n');

class ConformanceTest : public testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    deployment_ = Value(Deployment::Create(GetParam(), scratch_.path()));
    ASSERT_NE(deployment_, nullptr);
    VolumeInfo volume;
    volume.name = "v1";
    volume.uuid = "uuid-1";
    volume.path = "/volumes/1";
    volume_ = Value(service().AddVolume(volume)).id;
    Report(volume_);
    ctx_.session = Value(service().OpenSession({"test", {}, nullptr}));
  }

  MetadataService& service() { return deployment_->service(); }
  void Report(VolumeId volume, uint64_t free_bytes = 1ull << 39) {
    EXPECT_OK(service().ReportVolume({volume, true, false, 1ull << 40, free_bytes, ""}));
  }

  InodeId MakeDirectory(InodeId parent, const std::string& name, uint32_t mode = 0755) {
    return Value(service().MakeNode(ctx_, parent, name, {S_IFDIR | mode}), "mkdir ").inode;
  }
  InodeId MakeSymlink(InodeId parent, const std::string& name, const std::string& target) {
    return Value(service().MakeNode(ctx_, parent, name, {S_IFLNK | 0777, 0, 0, target}), "symlink ")
        .inode;
  }
  // A closed file.
  InodeId MakeFile(InodeId parent, const std::string& name, uint32_t mode = 0644,
                   uint64_t size = 0) {
    const InodeId inode =
        Value(service().Create(ctx_, parent, name, {S_IFREG | mode}), "create ").attr.inode;
    EXPECT_OK(service().CloseWrite(ctx_, inode, Content(size)));
    return inode;
  }
  static ContentState Content(uint64_t size) {
    ContentState content;
    content.size_bytes = size;
    content.blocks = (size + 511) / 512;
    content.atime = {1'600'000'000, 1};
    content.mtime = {1'600'000'001, 2};
    content.ctime = {1'600'000'002, 3};
    return content;
  }
  Attr Stat(InodeId inode) { return Value(service().GetAttr(ctx_, inode), "getattr "); }
  std::set<std::string> Names(InodeId directory) {
    std::set<std::string> names;
    for (const DirEntry& entry :
         Value(service().ReadDirectory(ctx_, directory, 0, 10'000, false)).entries)
      EXPECT_TRUE(names.insert(entry.name).second) << entry.name << " is listed twice";
    return names;
  }
  CallContext As(uint32_t uid, uint32_t gid = kUser, std::vector<uint32_t> groups = {}) const {
    CallContext ctx = ctx_;
    ctx.uid = uid;
    ctx.gid = gid;
    ctx.groups = std::move(groups);
    ctx.check_access = true;
    return ctx;
  }
  // A directory that has been removed while somebody may still refer to it.
  InodeId RemovedDirectory() {
    const InodeId directory = MakeDirectory(kRootInode, "removed");
    EXPECT_OK(service().RemoveDirectory(ctx_, kRootInode, "removed"));
    return directory;
  }

  ScratchDirectory scratch_;
  std::unique_ptr<Deployment> deployment_;
  VolumeId volume_;
  CallContext ctx_;
};

// A listener that notes what it is told to drop.
class RecordingListener : public CacheListener {
 public:
  void Invalidate(std::span<const Invalidation> items) override {
    std::unique_lock lock(mutex_);
    items_.insert(items_.end(), items.begin(), items.end());
    changed_.notify_all();
    changed_.wait(lock, [&] { return !held_; });
  }
  // Everything so far; nothing remains.
  std::vector<Invalidation> Take() {
    std::lock_guard lock(mutex_);
    return std::exchange(items_, {});
  }
  void WaitForSome() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(30), [&] { return !items_.empty(); }));
  }
  // While held, Invalidate does not return.
  void Hold(bool held) {
    std::lock_guard lock(mutex_);
    held_ = held;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Invalidation> items_;
  bool held_ = false;
};

MATCHER_P2(Invalidates, kind, inode, "") { return arg.kind == kind && arg.inode == inode; }
MATCHER_P2(InvalidatesEntry, directory, name, "") {
  return arg.kind == Invalidation::Kind::kEntry && arg.inode == directory && arg.name == name;
}

#define PXFS_BOTH_SHAPES(Suite)                                                           \
  INSTANTIATE_TEST_SUITE_P(Shapes, Suite, testing::Values(Shape::kLocal, Shape::kRemote), \
                           [](const auto& info) { return ToString(info.param); })

}  // namespace pxfs::meta
