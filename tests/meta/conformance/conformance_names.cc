#include <linux/fs.h>
#include <sys/sysmacros.h>

#include "tests/meta/conformance/conformance_test.h"

namespace pxfs::meta {
namespace {

using ConformanceNames = ConformanceTest;
PXFS_BOTH_SHAPES(ConformanceNames);

TEST_P(ConformanceNames, Lookup) {
  const InodeId directory = MakeDirectory(kRootInode, "d", 0700);
  const InodeId file = MakeFile(directory, "f");
  const Attr found = Value(service().Lookup(ctx_, directory, "f"));
  EXPECT_EQ(found.inode, file);
  EXPECT_EQ(found.mode, S_IFREG | 0644u);
  EXPECT_EQ(found.nlink, 1u);
  EXPECT_CODE(Code::kNotFound, service().Lookup(ctx_, directory, "missing"));
  EXPECT_CODE(Code::kNotFound, service().Lookup(ctx_, InodeId(999'999), "f"));
  EXPECT_CODE(Code::kNotFound, service().Lookup(ctx_, RemovedDirectory(), "f"));
  EXPECT_CODE(Code::kNotDirectory, service().Lookup(ctx_, file, "f"));
  EXPECT_CODE(Code::kNameTooLong, service().Lookup(ctx_, directory, kTooLongName));
  EXPECT_CODE(Code::kNotFound, service().Lookup(ctx_, directory, kLongName));
  EXPECT_CODE(Code::kAccess, service().Lookup(As(kUser), directory, "f"));
}

TEST_P(ConformanceNames, MakeNodeOfEveryType) {
  struct Case {
    const char* name;
    NewNode node;
    uint32_t mode, nlink;
    uint64_t rdev, size;
  };
  const uint64_t device = makedev(8, 17);
  const Case cases[] = {
      {"directory", {S_IFDIR | 01777, 022}, S_IFDIR | 01755, 2, 0, 4096},
      {"file", {S_IFREG | 06666, 027}, S_IFREG | 06640, 1, 0, 0},
      {"fifo", {S_IFIFO | 0666, 022}, S_IFIFO | 0644, 1, 0, 0},
      {"socket", {S_IFSOCK | 0777, 0}, S_IFSOCK | 0777, 1, 0, 0},
      {"char", {S_IFCHR | 0600, 0, device}, S_IFCHR | 0600, 1, device, 0},
      {"block", {S_IFBLK | 0660, 0, device}, S_IFBLK | 0660, 1, device, 0},
      {"link", {S_IFLNK | 0777, 022, 0, "to/somewhere"}, S_IFLNK | 0777, 1, 0, 12},
  };
  CallContext ctx = ctx_;
  ctx.uid = 11;
  ctx.gid = 22;
  for (const Case& c : cases) {
    const Attr made = Value(service().MakeNode(ctx, kRootInode, c.name, c.node), c.name);
    EXPECT_EQ(made.mode, c.mode) << c.name;
    EXPECT_EQ(made.nlink, c.nlink) << c.name;
    EXPECT_EQ(made.rdev, c.rdev) << c.name;
    EXPECT_EQ(made.size_bytes, c.size) << c.name;
    EXPECT_EQ(made.uid, 11u);
    EXPECT_EQ(made.gid, 22u);
    EXPECT_FALSE(made.open_for_write);
    const Attr found = Value(service().Lookup(ctx_, kRootInode, c.name));
    EXPECT_EQ(found.inode, made.inode);
    EXPECT_EQ(found.mode, c.mode);
    EXPECT_EQ(found.btime, made.btime);
  }
  EXPECT_EQ(
      Value(service().ReadLink(ctx_, Value(service().Lookup(ctx_, kRootInode, "link")).inode)),
      "to/somewhere");
  EXPECT_EQ(Stat(kRootInode).nlink, 3u);
}

TEST_P(ConformanceNames, MakeNodeErrors) {
  const NewNode directory{S_IFDIR | 0755}, fifo{S_IFIFO | 0644};
  const InodeId file = MakeFile(kRootInode, "f");
  MakeDirectory(kRootInode, "closed", 0700);
  EXPECT_CODE(Code::kExists, service().MakeNode(ctx_, kRootInode, "f", directory));
  EXPECT_CODE(Code::kNotDirectory, service().MakeNode(ctx_, file, "x", fifo));
  EXPECT_CODE(Code::kNotFound, service().MakeNode(ctx_, InodeId(999'999), "x", fifo));
  EXPECT_CODE(Code::kNotFound, service().MakeNode(ctx_, RemovedDirectory(), "x", fifo));
  EXPECT_CODE(Code::kNameTooLong, service().MakeNode(ctx_, kRootInode, kTooLongName, fifo));
  EXPECT_OK(service().MakeNode(ctx_, kRootInode, kLongName, fifo));
  for (const std::string name : {".", "..", "a/b"})
    EXPECT_CODE(Code::kInvalid, service().MakeNode(ctx_, kRootInode, name, fifo)) << name;
  EXPECT_CODE(Code::kInvalid,
              service().MakeNode(ctx_, kRootInode, std::string_view("a\0b", 3), fifo));
  EXPECT_CODE(Code::kInvalid, service().MakeNode(ctx_, kRootInode, "x", {0644}));
  EXPECT_CODE(Code::kAccess, service().MakeNode(As(kUser), kRootInode, "x", fifo));
  EXPECT_CODE(Code::kNameTooLong,
              service().MakeNode(ctx_, kRootInode, "x",
                                 {S_IFLNK | 0777, 0, 0, std::string(kMaxSymlinkBytes + 1, 't')}));
  const std::string longest(kMaxSymlinkBytes, 't');
  EXPECT_EQ(Value(service().ReadLink(ctx_, MakeSymlink(kRootInode, "longest", longest))), longest);
}

TEST_P(ConformanceNames, NamesAreBytes) {
  for (const std::string name : {"\xff\xfe", "ein Name", "new\nline", "\x01", "名前"}) {
    const InodeId made = MakeFile(kRootInode, name);
    EXPECT_EQ(Value(service().Lookup(ctx_, kRootInode, name)).inode, made) << name;
    EXPECT_EQ(Value(service().PathOf(made)), "/" + name);
    EXPECT_TRUE(Names(kRootInode).contains(name));
  }
}

TEST_P(ConformanceNames, CreateIsOpenForWriting) {
  CallContext ctx = ctx_;
  ctx.uid = 7;
  const Location made = Value(service().Create(ctx, kRootInode, "f", {S_IFREG | 0666, 022}));
  EXPECT_EQ(made.attr.mode, S_IFREG | 0644u);
  EXPECT_EQ(made.attr.uid, 7u);
  EXPECT_TRUE(made.attr.open_for_write);
  ASSERT_EQ(made.replicas.size(), 1u);
  EXPECT_EQ(made.replicas[0].volume, volume_);
  EXPECT_TRUE(made.replicas[0].primary);
  EXPECT_FALSE(made.replicas[0].materialized);
  EXPECT_EQ(made.replicas[0].state, ReplicaState::kCurrent);
  EXPECT_EQ(Value(service().GetStatistics()).open_for_write, 1u);
  EXPECT_OK(service().CloseWrite(ctx, made.attr.inode, Content(5)));
  EXPECT_FALSE(Stat(made.attr.inode).open_for_write);
  EXPECT_EQ(Stat(made.attr.inode).size_bytes, 5u);
}

TEST_P(ConformanceNames, CreateErrors) {
  const NewNode node{S_IFREG | 0644};
  const InodeId file = MakeFile(kRootInode, "f");
  EXPECT_CODE(Code::kExists, service().Create(ctx_, kRootInode, "f", node));
  EXPECT_CODE(Code::kNotDirectory, service().Create(ctx_, file, "x", node));
  EXPECT_CODE(Code::kNotFound, service().Create(ctx_, InodeId(999'999), "x", node));
  EXPECT_CODE(Code::kNotFound, service().Create(ctx_, RemovedDirectory(), "x", node));
  EXPECT_CODE(Code::kNameTooLong, service().Create(ctx_, kRootInode, kTooLongName, node));
  EXPECT_CODE(Code::kInvalid, service().Create(ctx_, kRootInode, "x", {S_IFDIR | 0755}));
  EXPECT_CODE(Code::kAccess, service().Create(As(kUser), kRootInode, "x", node));
  Report(volume_, 0);
  const auto full = service().Create(ctx_, kRootInode, "x", node);
  EXPECT_CODE(Code::kNoSpace, full);
  EXPECT_THAT(full.error().message(), testing::HasSubstr("v1"));
  EXPECT_CODE(Code::kNotFound, service().Lookup(ctx_, kRootInode, "x"));
}

TEST_P(ConformanceNames, FilesWithoutAName) {
  const Location made = Value(service().Create(ctx_, kRootInode, "", {S_IFREG | 0600}));
  EXPECT_EQ(made.attr.nlink, 0u);
  EXPECT_TRUE(Names(kRootInode).empty());
  EXPECT_CODE(Code::kNoData, service().PathOf(made.attr.inode));
  const Attr linked = Value(service().Link(ctx_, made.attr.inode, kRootInode, "named"));
  EXPECT_EQ(linked.nlink, 1u);
  EXPECT_OK(service().CloseWrite(ctx_, made.attr.inode, Content(3)));
  EXPECT_EQ(Value(service().Lookup(ctx_, kRootInode, "named")).size_bytes, 3u);
  EXPECT_EQ(Value(service().PathOf(made.attr.inode)), "/named");
}

TEST_P(ConformanceNames, Link) {
  const InodeId directory = MakeDirectory(kRootInode, "d");
  const InodeId file = MakeFile(kRootInode, "f");
  const Attr linked = Value(service().Link(ctx_, file, directory, "g"));
  EXPECT_EQ(linked.inode, file);
  EXPECT_EQ(linked.nlink, 2u);
  EXPECT_EQ(Value(service().Lookup(ctx_, directory, "g")).inode, file);
  EXPECT_CODE(Code::kExists, service().Link(ctx_, file, kRootInode, "d"));
  EXPECT_CODE(Code::kNotPermitted, service().Link(ctx_, directory, kRootInode, "x"));
  EXPECT_CODE(Code::kNotFound, service().Link(ctx_, InodeId(999'999), kRootInode, "x"));
  EXPECT_CODE(Code::kNotFound, service().Link(ctx_, file, RemovedDirectory(), "x"));
  EXPECT_CODE(Code::kNotDirectory, service().Link(ctx_, file, file, "x"));
  EXPECT_CODE(Code::kNameTooLong, service().Link(ctx_, file, kRootInode, kTooLongName));
  EXPECT_CODE(Code::kAccess, service().Link(As(kUser), file, kRootInode, "x"));
  // A name that was taken away does not come back.
  RecordingListener listener;  // a session that caches holds the orphan
  const SessionId caching = Value(service().OpenSession({"caches", {}, &listener}));
  const InodeId gone = MakeFile(kRootInode, "gone");
  EXPECT_TRUE(Value(service().Unlink(ctx_, kRootInode, "gone")).orphaned);
  EXPECT_OK(service().GetAttr(ctx_, gone));
  EXPECT_CODE(Code::kNotFound, service().Link(ctx_, gone, kRootInode, "again"));
  EXPECT_OK(service().CloseSession(caching));
}

TEST_P(ConformanceNames, TooManyLinks) {
  const InodeId directory = MakeDirectory(kRootInode, "d");
  const InodeId file = MakeFile(directory, "f");
  std::vector<TreeNode> links;
  for (uint32_t i = 1; i < kMaxLinks; ++i) {
    TreeNode node;
    node.path = "l" + std::to_string(i);
    node.mode = S_IFREG | 0644;
    node.hard_link_to = "f";
    links.push_back(std::move(node));
    if (links.size() == 8000 || i + 1 == kMaxLinks) {
      EXPECT_OK(service().AddTree(ctx_, directory, links, IfExists::kFail));
      links.clear();
    }
  }
  EXPECT_EQ(Stat(file).nlink, kMaxLinks);
  EXPECT_CODE(Code::kTooManyLinks, service().Link(ctx_, file, kRootInode, "one more"));
}

TEST_P(ConformanceNames, Unlink) {
  const InodeId file = MakeFile(kRootInode, "f");
  EXPECT_OK(service().Link(ctx_, file, kRootInode, "g"));
  MakeDirectory(kRootInode, "d");
  Removed removed = Value(service().Unlink(ctx_, kRootInode, "f"));
  EXPECT_EQ(removed.inode, file);
  EXPECT_FALSE(removed.orphaned);
  EXPECT_EQ(Stat(file).nlink, 1u);
  removed = Value(service().Unlink(ctx_, kRootInode, "g"));
  EXPECT_EQ(removed.inode, file);
  EXPECT_TRUE(removed.orphaned);
  EXPECT_CODE(Code::kNotFound, service().Unlink(ctx_, kRootInode, "f"));
  EXPECT_CODE(Code::kIsDirectory, service().Unlink(ctx_, kRootInode, "d"));
  EXPECT_CODE(Code::kNameTooLong, service().Unlink(ctx_, kRootInode, kTooLongName));
  MakeFile(kRootInode, "kept");
  EXPECT_CODE(Code::kAccess, service().Unlink(As(kUser), kRootInode, "kept"));
  // Sticky: only owners remove.
  const InodeId sticky = MakeDirectory(kRootInode, "sticky", 01777);
  MakeFile(sticky, "root's");
  EXPECT_CODE(Code::kNotPermitted, service().Unlink(As(kUser), sticky, "root's"));
}

TEST_P(ConformanceNames, RemoveDirectory) {
  const InodeId directory = MakeDirectory(kRootInode, "d");
  MakeFile(directory, "f");
  EXPECT_CODE(Code::kNotEmpty, service().RemoveDirectory(ctx_, kRootInode, "d"));
  EXPECT_CODE(Code::kNotDirectory, service().RemoveDirectory(ctx_, directory, "f"));
  EXPECT_CODE(Code::kNotFound, service().RemoveDirectory(ctx_, kRootInode, "x"));
  EXPECT_OK(service().Unlink(ctx_, directory, "f"));
  const uint32_t links = Stat(kRootInode).nlink;
  const Removed removed = Value(service().RemoveDirectory(ctx_, kRootInode, "d"));
  EXPECT_EQ(removed.inode, directory);
  EXPECT_TRUE(removed.orphaned);
  EXPECT_EQ(Stat(kRootInode).nlink, links - 1);
}

TEST_P(ConformanceNames, RenameMoves) {
  const InodeId a = MakeDirectory(kRootInode, "a"), b = MakeDirectory(kRootInode, "b");
  const InodeId file = MakeFile(a, "f"), directory = MakeDirectory(a, "d");
  EXPECT_EQ(Value(service().Rename(ctx_, a, "f", b, "g", 0)).inode, InodeId());
  EXPECT_EQ(Value(service().Rename(ctx_, a, "d", b, "d", RENAME_NOREPLACE)).inode, InodeId());
  EXPECT_TRUE(Names(a).empty());
  EXPECT_EQ(Names(b), (std::set<std::string>{"d", "g"}));
  EXPECT_EQ(Value(service().PathOf(file)), "/b/g");
  EXPECT_EQ(Value(service().PathOf(directory)), "/b/d");
  EXPECT_EQ(Stat(a).nlink, 2u);
  EXPECT_EQ(Stat(b).nlink, 3u);
  EXPECT_EQ(Value(service().ReadDirectory(ctx_, directory, 0, 10, false)).parent, b);
}

TEST_P(ConformanceNames, RenameReplaces) {
  const InodeId a = MakeFile(kRootInode, "a"), b = MakeFile(kRootInode, "b");
  const InodeId d = MakeDirectory(kRootInode, "d"), e = MakeDirectory(kRootInode, "e");
  Removed removed = Value(service().Rename(ctx_, kRootInode, "a", kRootInode, "b", 0));
  EXPECT_EQ(removed.inode, b);
  EXPECT_TRUE(removed.orphaned);
  EXPECT_EQ(Value(service().Lookup(ctx_, kRootInode, "b")).inode, a);
  removed = Value(service().Rename(ctx_, kRootInode, "d", kRootInode, "e", 0));
  EXPECT_EQ(removed.inode, e);
  EXPECT_EQ(Value(service().Lookup(ctx_, kRootInode, "e")).inode, d);
  EXPECT_EQ(Names(kRootInode), (std::set<std::string>{"b", "e"}));
  // Two names of one file: nothing happens.
  EXPECT_OK(service().Link(ctx_, a, kRootInode, "c"));
  EXPECT_EQ(Value(service().Rename(ctx_, kRootInode, "c", kRootInode, "b", 0)).inode, InodeId());
  EXPECT_EQ(Names(kRootInode), (std::set<std::string>{"b", "c", "e"}));
}

TEST_P(ConformanceNames, RenameExchanges) {
  const InodeId a = MakeDirectory(kRootInode, "a");
  const InodeId file = MakeFile(kRootInode, "f"), inner = MakeDirectory(a, "inner");
  EXPECT_OK(service().Rename(ctx_, kRootInode, "f", a, "inner", RENAME_EXCHANGE));
  EXPECT_EQ(Value(service().Lookup(ctx_, a, "inner")).inode, file);
  EXPECT_EQ(Value(service().Lookup(ctx_, kRootInode, "f")).inode, inner);
  EXPECT_EQ(Stat(a).nlink, 2u);
  EXPECT_EQ(Stat(kRootInode).nlink, 4u);
  EXPECT_EQ(Value(service().PathOf(inner)), "/f");
}

TEST_P(ConformanceNames, RenameErrors) {
  const InodeId a = MakeDirectory(kRootInode, "a"), b = MakeDirectory(a, "b");
  const InodeId file = MakeFile(kRootInode, "f");
  MakeDirectory(kRootInode, "e");
  const auto rename = [&](InodeId from, const std::string& name, InodeId to,
                          const std::string& new_name, uint32_t flags = 0) {
    return service().Rename(ctx_, from, name, to, new_name, flags);
  };
  EXPECT_CODE(Code::kNotFound, rename(kRootInode, "x", kRootInode, "y"));
  EXPECT_CODE(Code::kNotFound, rename(kRootInode, "f", kRootInode, "y", RENAME_EXCHANGE));
  EXPECT_CODE(Code::kNotFound, rename(kRootInode, "f", RemovedDirectory(), "y"));
  EXPECT_CODE(Code::kExists, rename(kRootInode, "f", kRootInode, "a", RENAME_NOREPLACE));
  EXPECT_CODE(Code::kNotEmpty, rename(kRootInode, "e", kRootInode, "a"));
  EXPECT_CODE(Code::kIsDirectory, rename(kRootInode, "f", kRootInode, "e"));
  EXPECT_CODE(Code::kNotDirectory, rename(kRootInode, "e", kRootInode, "f"));
  EXPECT_CODE(Code::kNotDirectory, rename(kRootInode, "e", file, "x"));
  EXPECT_CODE(Code::kInvalid, rename(kRootInode, "a", b, "x"));
  EXPECT_CODE(Code::kInvalid, rename(kRootInode, "a", a, "b", RENAME_EXCHANGE));
  EXPECT_CODE(Code::kInvalid, rename(kRootInode, "f", kRootInode, "y", RENAME_WHITEOUT));
  EXPECT_CODE(Code::kInvalid,
              rename(kRootInode, "f", kRootInode, "e", RENAME_NOREPLACE | RENAME_EXCHANGE));
  EXPECT_CODE(Code::kNameTooLong, rename(kRootInode, "f", kRootInode, kTooLongName));
  EXPECT_CODE(Code::kAccess, service().Rename(As(kUser), kRootInode, "f", kRootInode, "y", 0));
  EXPECT_EQ(Names(kRootInode), (std::set<std::string>{"a", "e", "f"}));
}

TEST_P(ConformanceNames, ReadDirectoryInPages) {
  const InodeId directory = MakeDirectory(kRootInode, "d");
  std::map<std::string, InodeId> expected;
  for (int i = 0; i < 25; ++i) {
    const std::string name = "entry" + std::to_string(i);
    expected[name] =
        i % 3 == 0 ? MakeDirectory(directory, name) : MakeFile(directory, name, 0604, 9);
  }
  for (const bool with_attr : {false, true}) {
    std::map<std::string, InodeId> seen;
    uint64_t cookie = 0;
    for (bool end = false; !end;) {
      const DirPage page = Value(service().ReadDirectory(ctx_, directory, cookie, 7, with_attr));
      EXPECT_LE(page.entries.size(), 7u);
      EXPECT_EQ(page.parent, kRootInode);
      ASSERT_FALSE(page.entries.empty());
      for (const DirEntry& entry : page.entries) {
        EXPECT_NE(entry.cookie, 0u);
        EXPECT_LT(entry.cookie, 1ull << 63);
        EXPECT_TRUE(seen.emplace(entry.name, entry.attr.inode).second);
        const Attr attr = Stat(entry.attr.inode);
        EXPECT_EQ(entry.attr.mode & S_IFMT, attr.mode & S_IFMT);
        if (with_attr) {
          EXPECT_EQ(entry.attr.mode, attr.mode);
          EXPECT_EQ(entry.attr.size_bytes, attr.size_bytes);
        }
      }
      cookie = page.entries.back().cookie;
      end = page.end;
    }
    EXPECT_EQ(seen, expected);
  }
  const InodeId file = expected["entry1"];
  EXPECT_CODE(Code::kNotDirectory, service().ReadDirectory(ctx_, file, 0, 10, false));
  EXPECT_CODE(Code::kNotFound, service().ReadDirectory(ctx_, InodeId(999'999), 0, 10, false));
  EXPECT_CODE(Code::kAccess, service().ReadDirectory(
                                 As(kUser), MakeDirectory(kRootInode, "x", 0711), 0, 10, false));
}

TEST_P(ConformanceNames, ReadLink) {
  EXPECT_EQ(Value(service().ReadLink(ctx_, MakeSymlink(kRootInode, "l", "../target"))),
            "../target");
  EXPECT_CODE(Code::kInvalid, service().ReadLink(ctx_, kRootInode));
  EXPECT_CODE(Code::kNotFound, service().ReadLink(ctx_, InodeId(999'999)));
}

TEST_P(ConformanceNames, Resolve) {
  const InodeId a = MakeDirectory(kRootInode, "a"), b = MakeDirectory(a, "b");
  const InodeId file = MakeFile(b, "f");
  const InodeId link = MakeSymlink(kRootInode, "link", "a/./b/../b");
  const InodeId absolute = MakeSymlink(b, "absolute", "/link/f");
  MakeSymlink(kRootInode, "loop", "loop");
  MakeSymlink(kRootInode, "dangling", "nowhere");
  const auto resolve = [&](std::string_view path, bool follow = true) {
    return service().Resolve(ctx_, kRootInode, path, follow);
  };
  EXPECT_EQ(Value(resolve("/a/b/f")).inode, file);
  EXPECT_EQ(Value(resolve("a//b/./f")).inode, file);
  EXPECT_EQ(Value(resolve("link/f")).inode, file);
  EXPECT_EQ(Value(resolve("link")).inode, b);
  EXPECT_EQ(Value(resolve("link", false)).inode, link);
  EXPECT_EQ(Value(resolve("a/b/absolute")).inode, file);
  EXPECT_EQ(Value(resolve("a/b/absolute", false)).inode, absolute);
  EXPECT_EQ(Value(resolve("/")).inode, kRootInode);
  EXPECT_EQ(Value(resolve("/..")).inode, kRootInode);
  EXPECT_EQ(Value(service().Resolve(ctx_, b, "f", true)).inode, file);
  EXPECT_EQ(Value(service().Resolve(ctx_, b, "../b/f", true)).inode, file);
  EXPECT_CODE(Code::kNotFound, resolve("a/x"));
  EXPECT_CODE(Code::kNotFound, resolve("dangling"));
  EXPECT_OK(resolve("dangling", false));
  EXPECT_CODE(Code::kNotDirectory, resolve("a/b/f/x"));
  EXPECT_CODE(Code::kLoop, resolve("loop"));
  EXPECT_CODE(Code::kNameTooLong, resolve("a/" + kTooLongName));
  EXPECT_OK(service().SetAttr(ctx_, a, {.mode = 0700}));
  EXPECT_CODE(Code::kAccess, service().Resolve(As(kUser), kRootInode, "a/b/f", true));
}

TEST_P(ConformanceNames, PathOf) {
  const InodeId a = MakeDirectory(kRootInode, "a");
  const InodeId file = MakeFile(a, "f");
  EXPECT_EQ(Value(service().PathOf(kRootInode)), "/");
  EXPECT_EQ(Value(service().PathOf(file)), "/a/f");
  EXPECT_OK(service().Link(ctx_, file, kRootInode, "g"));
  EXPECT_OK(service().Unlink(ctx_, a, "f"));
  EXPECT_EQ(Value(service().PathOf(file)), "/g");
  EXPECT_CODE(Code::kNotFound, service().PathOf(InodeId(999'999)));
}

}  // namespace
}  // namespace pxfs::meta
