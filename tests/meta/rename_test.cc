// meta/ops/rename.cc: rename(2) and renameat2(2), flag by flag.
#include <linux/fs.h>

#include "tests/meta/service_fixture.h"

namespace pxfs::meta {
namespace {

class RenameTest : public ServiceTest {
 protected:
  Result<Removed> Rename(InodeId from, const std::string& name, InodeId to,
                         const std::string& new_name, uint32_t flags = 0) {
    return service_->Rename(ctx_, from, name, to, new_name, flags);
  }
  InodeId Find(InodeId parent, const std::string& name) {
    const auto attr = service_->Lookup(ctx_, parent, name);
    return attr ? attr->inode : InodeId();
  }
};

TEST_P(RenameTest, FileReplacesFile) {
  const InodeId a = MakeFile(kRootInode, "a"), b = MakeFile(kRootInode, "b");
  Tick();
  const Removed removed = Value(Rename(kRootInode, "a", kRootInode, "b"));
  EXPECT_EQ(removed.inode, b);
  EXPECT_TRUE(removed.orphaned);
  EXPECT_EQ(Find(kRootInode, "a"), InodeId());
  EXPECT_EQ(Find(kRootInode, "b"), a);
  EXPECT_EQ(Stat(a).ctime, now_);
  EXPECT_EQ(Stat(kRootInode).mtime, now_);
  EXPECT_EQ(Value(service_->PathOf(a)), "/b");
}

TEST_P(RenameTest, DirectoryMovesWithParentAndCounts) {
  const InodeId d = MakeDirectory(kRootInode, "d"), e = MakeDirectory(kRootInode, "e");
  const InodeId moved = MakeDirectory(d, "m");
  MakeFile(moved, "f");
  EXPECT_OK(Rename(d, "m", e, "n"));
  EXPECT_EQ(Stat(d).nlink, 2u);
  EXPECT_EQ(Stat(e).nlink, 3u);
  EXPECT_EQ(Value(service_->ReadDirectory(ctx_, moved, 0, 10, false)).parent, e);
  EXPECT_EQ(Value(service_->PathOf(Find(moved, "f"))), "/e/n/f");
}

TEST_P(RenameTest, ErrorsInTheKernelsOrder) {
  const InodeId d = MakeDirectory(kRootInode, "d"), full = MakeDirectory(kRootInode, "full");
  const InodeId below = MakeDirectory(d, "below");
  MakeDirectory(kRootInode, "empty");
  MakeFile(kRootInode, "f");
  MakeFile(full, "x");
  const struct {
    const char* what;
    InodeId from;
    const char* name;
    InodeId to;
    const char* new_name;
    uint32_t flags;
    Code code;
  } kCases[] = {
      {"source is missing", kRootInode, "no", kRootInode, "f", 0, Code::kNotFound},
      {"parent is missing", InodeId(999), "no", kRootInode, "f", 0, Code::kNotFound},
      {"unknown flag", kRootInode, "f", kRootInode, "g", 4, Code::kInvalid},
      {"both flags", kRootInode, "f", kRootInode, "g", 3, Code::kInvalid},
      {"noreplace", kRootInode, "f", kRootInode, "d", RENAME_NOREPLACE, Code::kExists},
      {"exchange with nothing", kRootInode, "f", kRootInode, "no", RENAME_EXCHANGE,
       Code::kNotFound},
      {"file over directory", kRootInode, "f", kRootInode, "empty", 0, Code::kIsDirectory},
      {"directory over file", kRootInode, "d", kRootInode, "f", 0, Code::kNotDirectory},
      {"directory over full one", kRootInode, "d", kRootInode, "full", 0, Code::kNotEmpty},
      {"into itself", kRootInode, "d", d, "x", 0, Code::kInvalid},
      {"below itself", kRootInode, "d", below, "x", 0, Code::kInvalid},
      {"over its ancestor", d, "below", kRootInode, "d", 0, Code::kNotEmpty},
      {"exchange with its ancestor", d, "below", kRootInode, "d", RENAME_EXCHANGE, Code::kInvalid},
      {"exchange into itself", kRootInode, "d", d, "below", RENAME_EXCHANGE, Code::kInvalid},
      {"bad name", kRootInode, "f", kRootInode, "..", 0, Code::kInvalid},
  };
  for (const auto& c : kCases)
    EXPECT_EQ(c.code, CodeOf(Rename(c.from, c.name, c.to, c.new_name, c.flags))) << c.what;
  EXPECT_OK(Rename(kRootInode, "d", kRootInode, "empty"));
}

TEST_P(RenameTest, ToItselfAndToAnotherLinkDoesNothing) {
  const InodeId f = MakeFile(kRootInode, "f");
  EXPECT_OK(service_->Link(ctx_, f, kRootInode, "g"));
  const Attr before = Stat(f);
  Tick();
  EXPECT_EQ(Value(Rename(kRootInode, "f", kRootInode, "f")).inode, InodeId());
  EXPECT_EQ(Value(Rename(kRootInode, "f", kRootInode, "g")).inode, InodeId());
  EXPECT_EQ(Find(kRootInode, "f"), f);
  EXPECT_EQ(Find(kRootInode, "g"), f);
  EXPECT_EQ(Stat(f).ctime, before.ctime);
}

TEST_P(RenameTest, ExchangeSwapsKinds) {
  const InodeId d = MakeDirectory(kRootInode, "d"), e = MakeDirectory(kRootInode, "e");
  const InodeId f = MakeFile(d, "f"), sub = MakeDirectory(e, "sub");
  MakeFile(sub, "x");
  Tick();
  EXPECT_OK(Rename(d, "f", e, "sub", RENAME_EXCHANGE));
  EXPECT_EQ(Find(d, "f"), sub);
  EXPECT_EQ(Find(e, "sub"), f);
  EXPECT_EQ(Stat(d).nlink, 3u);
  EXPECT_EQ(Stat(e).nlink, 2u);
  EXPECT_EQ(Stat(f).ctime, now_);
  EXPECT_EQ(Value(service_->PathOf(Find(sub, "x"))), "/d/f/x");
}

TEST_P(RenameTest, OneLinkOfSeveralMoves) {
  const InodeId d = MakeDirectory(kRootInode, "d");
  const InodeId f = MakeFile(kRootInode, "a");
  EXPECT_OK(service_->Link(ctx_, f, d, "b"));
  EXPECT_OK(service_->Link(ctx_, f, d, "c"));
  EXPECT_OK(Rename(kRootInode, "a", d, "z"));
  EXPECT_OK(Rename(d, "b", kRootInode, "y"));
  EXPECT_OK(service_->Unlink(ctx_, d, "z"));
  EXPECT_OK(service_->Unlink(ctx_, d, "c"));
  EXPECT_EQ(Stat(f).nlink, 1u);
  EXPECT_EQ(Value(service_->PathOf(f)), "/y");
}

TEST_P(RenameTest, ReplacingOneLinkOfSeveralLeavesTheRest) {
  const InodeId f = MakeFile(kRootInode, "a");
  EXPECT_OK(service_->Link(ctx_, f, kRootInode, "b"));
  MakeFile(kRootInode, "n");
  const Removed removed = Value(Rename(kRootInode, "n", kRootInode, "a"));
  EXPECT_EQ(removed.inode, f);
  EXPECT_FALSE(removed.orphaned);
  EXPECT_EQ(Value(service_->PathOf(f)), "/b");
}

TEST_P(RenameTest, StickyDirectoryProtectsOthersFiles) {
  const InodeId tmp = MakeDirectory(kRootInode, "tmp", 01777);
  EXPECT_OK(service_->Create(As(1000, 1000), tmp, "mine", {S_IFREG | 0644, 0, 0, ""}));
  EXPECT_CODE(Code::kNotPermitted, service_->Rename(As(1001, 1001), tmp, "mine", tmp, "stolen", 0));
  EXPECT_OK(service_->Rename(As(1000, 1000), tmp, "mine", tmp, "still mine", 0));
}

PXFS_BOTH_ENGINES(RenameTest);

}  // namespace
}  // namespace pxfs::meta
