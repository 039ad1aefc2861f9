// Creating, finding and removing names: meta/ops/lookup.cc, make_node.cc, create.cc, unlink.cc,
// remove_directory.cc.
#include "tests/meta/service_fixture.h"

namespace pxfs::meta {
namespace {

class NamesTest : public ServiceTest {};

TEST_P(NamesTest, MadeNamesAreFound) {
  const InodeId d = MakeDirectory(kRootInode, "d");
  const InodeId f = MakeFile(d, "f");
  EXPECT_EQ(Value(service_->Lookup(ctx_, kRootInode, "d")).inode, d);
  EXPECT_EQ(Value(service_->Lookup(ctx_, d, "f")).inode, f);
  EXPECT_EQ(Value(service_->Lookup(ctx_, d, "..")).inode, kRootInode);
  EXPECT_CODE(Code::kNotFound, service_->Lookup(ctx_, d, "g"));
  EXPECT_CODE(Code::kNotDirectory, service_->Lookup(ctx_, f, "g"));
  EXPECT_EQ(Value(service_->PathOf(f)), "/d/f");
  Reopen();
  EXPECT_EQ(Value(service_->Lookup(ctx_, d, "f")).inode, f);
  EXPECT_EQ(Value(service_->PathOf(f)), "/d/f");
}

TEST_P(NamesTest, BadNamesAreRefused) {
  const NewNode directory{S_IFDIR | 0755, 0, 0, ""};
  const struct {
    std::string name;
    Code code;
  } kCases[] = {
      {"", Code::kNotFound},
      {".", Code::kInvalid},
      {"..", Code::kInvalid},
      {"a/b", Code::kInvalid},
      {std::string("a\0b", 3), Code::kInvalid},
      {std::string(256, 'x'), Code::kNameTooLong},
  };
  for (const auto& c : kCases)
    EXPECT_CODE(c.code, service_->MakeNode(ctx_, kRootInode, c.name, directory));
  EXPECT_OK(service_->MakeNode(ctx_, kRootInode, std::string(255, 'x'), directory));
  EXPECT_CODE(Code::kExists,
              service_->MakeNode(ctx_, kRootInode, std::string(255, 'x'), directory));
}

TEST_P(NamesTest, LinkCountsAndTimesFollow) {
  const InodeId d = MakeDirectory(kRootInode, "d");
  EXPECT_EQ(Stat(kRootInode).nlink, 3u);
  Tick();
  const InodeId e = MakeDirectory(d, "e");
  EXPECT_EQ(Stat(d).nlink, 3u);
  EXPECT_EQ(Stat(d).mtime, now_);
  EXPECT_EQ(Stat(d).ctime, now_);
  EXPECT_CODE(Code::kNotEmpty, service_->RemoveDirectory(ctx_, kRootInode, "d"));
  EXPECT_CODE(Code::kIsDirectory, service_->Unlink(ctx_, d, "e"));
  Tick();
  const Removed removed = Value(service_->RemoveDirectory(ctx_, d, "e"));
  EXPECT_EQ(removed.inode, e);
  EXPECT_TRUE(removed.orphaned);
  EXPECT_EQ(Stat(d).nlink, 2u);
  EXPECT_EQ(Stat(d).mtime, now_);
  EXPECT_CODE(Code::kNotFound, service_->GetAttr(ctx_, e)) << "nobody held it";
  EXPECT_OK(service_->RemoveDirectory(ctx_, kRootInode, "d"));
  EXPECT_EQ(Stat(kRootInode).nlink, 2u);
}

TEST_P(NamesTest, CreateOpensForWriting) {
  const Location made =
      Value(service_->Create(ctx_, kRootInode, "f", {S_IFREG | 0666, 022, 0, ""}));
  EXPECT_EQ(made.attr.mode, S_IFREG | 0644u);
  EXPECT_TRUE(made.attr.open_for_write);
  ASSERT_EQ(made.replicas.size(), 1u);
  EXPECT_EQ(made.replicas[0].volume, volume_);
  EXPECT_FALSE(made.replicas[0].materialized);
  EXPECT_OK(service_->CloseWrite(ctx_, made.attr.inode, Content(4096)));
  const Location closed = Value(service_->Locate(ctx_, made.attr.inode));
  EXPECT_FALSE(closed.attr.open_for_write);
  EXPECT_EQ(closed.attr.size_bytes, 4096u);
  EXPECT_EQ(closed.attr.generation, made.attr.generation);
  EXPECT_TRUE(closed.replicas[0].materialized);
  EXPECT_CODE(Code::kInvalid, service_->CloseWrite(ctx_, made.attr.inode, Content(1)));
}

PXFS_BOTH_ENGINES(NamesTest);

}  // namespace
}  // namespace pxfs::meta
