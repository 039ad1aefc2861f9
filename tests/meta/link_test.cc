// meta/ops/link.cc and the life of inodes without a name: meta/orphans.cc, ops/forget.cc,
// reclaim_queue.cc.
#include "tests/meta/service_fixture.h"

namespace pxfs::meta {
namespace {

class Ignore : public CacheListener {
 public:
  void Invalidate(std::span<const Invalidation>) override {}
};

class LinkTest : public ServiceTest {
 protected:
  std::vector<ReclaimItem> TakeReclaimable() {
    return Value(service_->WaitReclaimable(100, std::chrono::milliseconds(0)));
  }
  Ignore listener_;
};

TEST_P(LinkTest, CountsNamesAndTimes) {
  const InodeId f = MakeFile(kRootInode, "f"), d = MakeDirectory(kRootInode, "d");
  Tick();
  EXPECT_EQ(Value(service_->Link(ctx_, f, d, "g")).nlink, 2u);
  EXPECT_EQ(Stat(f).ctime, now_);
  EXPECT_EQ(Stat(d).mtime, now_);
  EXPECT_CODE(Code::kNotPermitted, service_->Link(ctx_, d, kRootInode, "e"));
  EXPECT_CODE(Code::kExists, service_->Link(ctx_, f, d, "g"));
  EXPECT_CODE(Code::kNotFound, service_->Link(ctx_, InodeId(999), d, "h"));
  const Removed removed = Value(service_->Unlink(ctx_, kRootInode, "f"));
  EXPECT_FALSE(removed.orphaned);
  EXPECT_EQ(Value(service_->PathOf(f)), "/d/g");
}

TEST_P(LinkTest, NoMoreThanTheLimit) {
  const InodeId f = MakeFile(kRootInode, "f");
  // Setting up 65,000 links takes its time; the record is as they would leave it, and put back
  // after.
  service_.reset();
  sound_ = false;
  auto engine = OpenEngine();
  std::string value;
  ASSERT_TRUE(Value(engine->Get(keys::Inode(f), &value)));
  InodeRecord record = Value(Decode<InodeRecord>(keys::Inode(f), value));
  record.attr.nlink = kMaxLinks;
  EXPECT_OK(engine->Commit({}, {{keys::Inode(f), Encode(record)}}, [] {}));
  engine.reset();
  Start();
  EXPECT_CODE(Code::kTooManyLinks, service_->Link(ctx_, f, kRootInode, "one more"));
}

TEST_P(LinkTest, WithoutHoldersContentIsReclaimedAtOnce) {
  const InodeId f = MakeFile(kRootInode, "f");
  EXPECT_TRUE(Value(service_->Unlink(ctx_, kRootInode, "f")).orphaned);
  const std::vector<ReclaimItem> items = TakeReclaimable();
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0].inode, f);
  ASSERT_EQ(items[0].replicas.size(), 1u);
  EXPECT_EQ(items[0].replicas[0].volume, volume_);
  EXPECT_TRUE(TakeReclaimable().empty()) << "handed out once";
  EXPECT_EQ(Value(service_->GetStatistics()).reclaim_queue, 1u);
  EXPECT_OK(service_->Reclaimed(items));
  EXPECT_OK(service_->Reclaimed(items)) << "again does no harm";
  EXPECT_CODE(Code::kNotFound, service_->GetAttr(ctx_, f));
  EXPECT_EQ(Value(service_->GetStatistics()).reclaim_queue, 0u);
}

TEST_P(LinkTest, HandedOutAgainAfterReopening) {
  MakeFile(kRootInode, "f");
  EXPECT_OK(service_->Unlink(ctx_, kRootInode, "f"));
  EXPECT_EQ(TakeReclaimable().size(), 1u);
  Reopen();
  EXPECT_EQ(TakeReclaimable().size(), 1u);
}

TEST_P(LinkTest, HandedOutAgainAfterAWhile) {
  options_.reclaim_retry = std::chrono::milliseconds(1);
  Reopen();
  MakeFile(kRootInode, "f");
  EXPECT_OK(service_->Unlink(ctx_, kRootInode, "f"));
  EXPECT_EQ(TakeReclaimable().size(), 1u);
  EXPECT_EQ(Value(service_->WaitReclaimable(1, std::chrono::seconds(10))).size(), 1u);
}

TEST_P(LinkTest, OrphanLivesUntilEveryHolderForgets) {
  const SessionId a = OpenSession("a", &listener_), b = OpenSession("b", &listener_);
  const InodeId f = MakeFile(kRootInode, "f");
  EXPECT_TRUE(Value(service_->Unlink(ctx_, kRootInode, "f")).orphaned);
  EXPECT_EQ(Stat(f).nlink, 0u);
  EXPECT_CODE(Code::kNoData, service_->PathOf(f));
  EXPECT_CODE(Code::kNotFound, service_->Link(ctx_, f, kRootInode, "back"));
  EXPECT_OK(service_->Forget(a, std::vector{f}));
  EXPECT_TRUE(TakeReclaimable().empty());
  Reopen();  // the sessions are detached, and still hold
  EXPECT_EQ(Value(service_->OpenSession({"b again", b, &listener_})), b);
  EXPECT_OK(service_->Forget(b, std::vector{f}));
  EXPECT_EQ(TakeReclaimable().size(), 1u);
  EXPECT_OK(service_->Forget(b, std::vector{f})) << "nothing held";
  service_.reset();
}

TEST_P(LinkTest, EndOfASessionLetsGo) {
  const SessionId a = OpenSession("a", &listener_);
  const InodeId d = MakeDirectory(kRootInode, "d");
  EXPECT_OK(service_->RemoveDirectory(ctx_, kRootInode, "d"));
  EXPECT_EQ(Stat(d).nlink, 0u);
  const DirPage page = Value(service_->ReadDirectory(ctx_, d, 0, 10, true));
  EXPECT_TRUE(page.end && page.entries.empty());
  EXPECT_CODE(Code::kNotFound, service_->MakeNode(ctx_, d, "x", NewNode{S_IFDIR | 0755, 0, 0, ""}));
  EXPECT_OK(service_->CloseSession(a));
  EXPECT_CODE(Code::kNotFound, service_->GetAttr(ctx_, d));
}

TEST_P(LinkTest, OpenForWritingHoldsUntilClosed) {
  const InodeId f =
      Value(service_->Create(ctx_, kRootInode, "f", {S_IFREG | 0644, 0, 0, ""})).attr.inode;
  EXPECT_OK(service_->Unlink(ctx_, kRootInode, "f"));
  EXPECT_TRUE(TakeReclaimable().empty());
  EXPECT_OK(service_->CloseWrite(ctx_, f, Content(3)));
  EXPECT_EQ(TakeReclaimable().size(), 1u);
}

TEST_P(LinkTest, NamelessFileGetsAName) {
  const Location made = Value(service_->Create(ctx_, kRootInode, "", {S_IFREG | 0600, 0, 0, ""}));
  const InodeId f = made.attr.inode;
  EXPECT_EQ(made.attr.nlink, 0u);
  EXPECT_EQ(Stat(kRootInode).mtime, Timestamp(now_));
  EXPECT_OK(service_->CloseWrite(ctx_, f, Content(7)));
  EXPECT_TRUE(TakeReclaimable().empty()) << "held until forgotten";
  EXPECT_EQ(Value(service_->Link(ctx_, f, kRootInode, "named")).nlink, 1u);
  EXPECT_OK(service_->Forget(ctx_.session, std::vector{f}));
  EXPECT_EQ(Value(service_->Lookup(ctx_, kRootInode, "named")).size_bytes, 7u);
}

TEST_P(LinkTest, NamelessFileGoesWithItsSession) {
  const SessionId session = OpenSession("short");
  CallContext ctx = ctx_;
  ctx.session = session;
  EXPECT_OK(service_->Create(ctx, kRootInode, "", {S_IFREG | 0600, 0, 0, ""}));
  EXPECT_OK(service_->CloseSession(session));
  EXPECT_EQ(TakeReclaimable().size(), 1u);
}

PXFS_BOTH_ENGINES(LinkTest);

}  // namespace
}  // namespace pxfs::meta
