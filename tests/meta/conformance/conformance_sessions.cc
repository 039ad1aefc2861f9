#include <linux/fs.h>

#include <future>

#include "tests/meta/conformance/conformance_test.h"

namespace pxfs::meta {
namespace {

using Kind = Invalidation::Kind;
using testing::Contains;
using testing::IsEmpty;

class ConformanceSessions : public ConformanceTest {
 protected:
  void SetUp() override {
    ConformanceTest::SetUp();
    caching_ = Value(service().OpenSession({"caches", {}, &listener_}));
  }
  void TearDown() override {
    listener_.Hold(false);
    if (deployment_) {
      EXPECT_OK(service().CloseSession(caching_));
    }
  }

  RecordingListener listener_;
  SessionId caching_;
};
PXFS_BOTH_SHAPES(ConformanceSessions);

TEST_P(ConformanceSessions, OpenResumeClose) {
  const SessionId first = Value(service().OpenSession({"first", {}, nullptr}));
  const SessionId second = Value(service().OpenSession({"second", {}, nullptr}));
  EXPECT_NE(first, second);
  EXPECT_EQ(Value(service().OpenSession({"resumed", first, nullptr})), first);
  EXPECT_CODE(Code::kNotFound, service().OpenSession({"x", SessionId(999'999), nullptr}));
  const InodeId file = MakeFile(kRootInode, "f");
  CallContext ctx = ctx_;
  ctx.session = first;
  EXPECT_OK(service().OpenForWrite(ctx, file, {}));
  std::map<SessionId, SessionInfo> sessions;
  for (const SessionInfo& info : Value(service().GetStatistics()).sessions)
    sessions[info.id] = info;
  EXPECT_EQ(sessions[first].description, "resumed");
  EXPECT_EQ(sessions[first].open_for_write, 1u);
  EXPECT_FALSE(sessions[first].caches);
  EXPECT_TRUE(sessions[caching_].caches);
  EXPECT_OK(service().CloseSession(second));
  EXPECT_CODE(Code::kInvalid, service().CloseSession(second));
  EXPECT_CODE(Code::kNotFound, service().OpenSession({"x", second, nullptr}));
}

TEST_P(ConformanceSessions, OthersAreToldWhatChanged) {
  const InodeId directory = MakeDirectory(kRootInode, "d");
  EXPECT_THAT(listener_.Take(), Contains(InvalidatesEntry(kRootInode, "d")));
  const InodeId file = MakeFile(directory, "f");
  auto items = listener_.Take();
  EXPECT_THAT(items, Contains(InvalidatesEntry(directory, "f")));
  EXPECT_THAT(items, Contains(Invalidates(Kind::kAttr, directory)));

  EXPECT_OK(service().SetAttr(ctx_, file, {.mode = 0600}));
  EXPECT_THAT(listener_.Take(), Contains(Invalidates(Kind::kAttr, file)));
  EXPECT_OK(service().SetXattr(ctx_, file, "user.a", "1", 0));
  EXPECT_THAT(listener_.Take(), Contains(Invalidates(Kind::kAttr, file)));
  EXPECT_OK(service().OpenForWrite(ctx_, file, {}));
  listener_.Take();
  EXPECT_OK(service().CloseWrite(ctx_, file, Content(1)));
  EXPECT_THAT(listener_.Take(), Contains(Invalidates(Kind::kContent, file)));

  EXPECT_OK(service().Link(ctx_, file, kRootInode, "g"));
  items = listener_.Take();
  EXPECT_THAT(items, Contains(InvalidatesEntry(kRootInode, "g")));
  EXPECT_THAT(items, Contains(Invalidates(Kind::kAttr, file)));
  EXPECT_OK(service().Rename(ctx_, kRootInode, "g", directory, "h", 0));
  items = listener_.Take();
  EXPECT_THAT(items, Contains(InvalidatesEntry(kRootInode, "g")));
  EXPECT_THAT(items, Contains(InvalidatesEntry(directory, "h")));
  EXPECT_OK(service().Unlink(ctx_, directory, "h"));
  items = listener_.Take();
  EXPECT_THAT(items, Contains(InvalidatesEntry(directory, "h")));
  EXPECT_THAT(items, Contains(Invalidates(Kind::kAttr, file)));
  EXPECT_OK(service().Unlink(ctx_, directory, "f"));
  EXPECT_THAT(listener_.Take(), Contains(Invalidates(Kind::kOrphaned, file)));
  EXPECT_OK(service().RemoveDirectory(ctx_, kRootInode, "d"));
  EXPECT_THAT(listener_.Take(), Contains(Invalidates(Kind::kOrphaned, directory)));

  TreeNode node;
  node.path = "new";
  node.mode = S_IFDIR | 0755;
  EXPECT_OK(service().AddTree(ctx_, kRootInode, {&node, 1}, IfExists::kFail));
  EXPECT_THAT(listener_.Take(), Contains(Invalidates(Kind::kListing, kRootInode)));
}

TEST_P(ConformanceSessions, OnesOwnChangesAndReadsTellNothing) {
  CallContext ctx = ctx_;
  ctx.session = caching_;
  EXPECT_OK(service().MakeNode(ctx, kRootInode, "d", {S_IFDIR | 0755}));
  EXPECT_OK(service().Lookup(ctx_, kRootInode, "d"));
  EXPECT_OK(service().ReadDirectory(ctx_, kRootInode, 0, 10, true));
  EXPECT_FALSE(service().MakeNode(ctx_, kRootInode, "d", {S_IFDIR | 0755}).has_value());
  // Something that does tell, so that all before it would have arrived.
  EXPECT_OK(service().MakeNode(ctx_, kRootInode, "e", {S_IFDIR | 0755}));
  for (const Invalidation& item : listener_.Take()) EXPECT_NE(item.name, "d");
}

TEST_P(ConformanceSessions, AMutationReturnsWhenOthersHaveDropped) {
  listener_.Hold(true);
  auto made = std::async(std::launch::async, [&] {
    return service().MakeNode(ctx_, kRootInode, "d", {S_IFDIR | 0755});
  });
  listener_.WaitForSome();
  EXPECT_EQ(made.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  // It has happened all the same, and who asks may see it.
  EXPECT_OK(service().Lookup(ctx_, kRootInode, "d"));
  listener_.Hold(false);
  EXPECT_OK(made.get());
}

TEST_P(ConformanceSessions, AClosedSessionHearsNothing) {
  RecordingListener other;
  const SessionId closed = Value(service().OpenSession({"closed", {}, &other}));
  EXPECT_OK(service().CloseSession(closed));
  other.Take();
  MakeDirectory(kRootInode, "d");
  EXPECT_THAT(listener_.Take(), Contains(InvalidatesEntry(kRootInode, "d")));
  EXPECT_THAT(other.Take(), IsEmpty());
}

TEST_P(ConformanceSessions, AResumedSessionHasItsNewListener) {
  RecordingListener successor;
  EXPECT_EQ(Value(service().OpenSession({"successor", caching_, &successor})), caching_);
  listener_.Take();
  MakeDirectory(kRootInode, "d");
  EXPECT_THAT(successor.Take(), Contains(InvalidatesEntry(kRootInode, "d")));
  EXPECT_THAT(listener_.Take(), IsEmpty());
  EXPECT_EQ(Value(service().OpenSession({"back", caching_, &listener_})), caching_);
}

// Else it would show what its service's successor has changed before it finds that.
TEST_P(ConformanceSessions, WhoIsOutOfTouchHoldsNothing) {
  if (GetParam() != Shape::kRemote) GTEST_SKIP() << "nobody can be out of touch with a function";
  listener_.Take();
  deployment_->Stop();
  listener_.WaitForSome();
  EXPECT_THAT(listener_.Take(), Contains(Invalidates(Kind::kAll, InodeId())));
  EXPECT_OK(deployment_->Start());
}

TEST_P(ConformanceSessions, ManyChangesFromManyThreads) {
  constexpr int kThreads = 4, kEach = 50;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i)
        EXPECT_OK(service().MakeNode(ctx_, kRootInode, std::to_string(t) + "-" + std::to_string(i),
                                     {S_IFDIR | 0755}));
    });
  for (auto& thread : threads) thread.join();
  std::set<std::string> dropped;
  for (const Invalidation& item : listener_.Take())
    if (item.kind == Kind::kEntry) dropped.insert(item.name);
  EXPECT_EQ(dropped.size(), size_t{kThreads * kEach});
}

}  // namespace
}  // namespace pxfs::meta
