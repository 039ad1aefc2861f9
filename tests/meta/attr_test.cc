// meta/ops/set_attr.cc, the start of inodes (meta/new_inode.cc) and permission checks
// (meta/access.cc).
#include "tests/meta/service_fixture.h"

namespace pxfs::meta {
namespace {

class AttrTest : public ServiceTest {
 protected:
  static AttrChange Mode(uint32_t mode) {
    AttrChange change;
    change.mode = mode;
    return change;
  }
  static AttrChange Owner(std::optional<uint32_t> uid, std::optional<uint32_t> gid) {
    AttrChange change;
    change.uid = uid;
    change.gid = gid;
    return change;
  }
};

TEST_P(AttrTest, EveryKindOfNode) {
  const struct {
    const char* name;
    NewNode node;
    uint32_t mode;
    uint64_t size;
  } kCases[] = {
      {"dir", {S_IFDIR | 0777, 022, 0, ""}, S_IFDIR | 0755, 4096},
      {"fifo", {S_IFIFO | 0666, 027, 0, ""}, S_IFIFO | 0640, 0},
      {"socket", {S_IFSOCK | 0755, 0, 0, ""}, S_IFSOCK | 0755, 0},
      {"null", {S_IFCHR | 0666, 0, 0x103, ""}, S_IFCHR | 0666, 0},
      {"disk", {S_IFBLK | 0660, 0, 0x800, ""}, S_IFBLK | 0660, 0},
      {"file", {S_IFREG | 04755, 0, 0, ""}, S_IFREG | 04755, 0},
      {"link", {S_IFLNK | 0777, 077, 0, "target"}, S_IFLNK | 0777, 6},
  };
  for (const auto& c : kCases) {
    const Attr attr = Value(service_->MakeNode(ctx_, kRootInode, c.name, c.node));
    EXPECT_EQ(attr.mode, c.mode) << c.name;
    EXPECT_EQ(attr.size_bytes, c.size) << c.name;
    EXPECT_EQ(attr.rdev, c.node.rdev) << c.name;
    EXPECT_EQ(attr.btime, now_) << c.name;
    const auto replicas = Value(service_->Locate(ctx_, attr.inode)).replicas.size();
    EXPECT_EQ(replicas, attr.is_regular() ? 1u : 0u) << c.name;
  }
  const InodeId link = Value(service_->Lookup(ctx_, kRootInode, "link")).inode;
  EXPECT_EQ(Value(service_->ReadLink(ctx_, link)), "target");
  EXPECT_CODE(Code::kInvalid, service_->ReadLink(ctx_, kRootInode));
  EXPECT_CODE(Code::kInvalid, service_->MakeNode(ctx_, kRootInode, "x", NewNode{0644, 0, 0, ""}));
  EXPECT_CODE(Code::kNotFound,
              service_->MakeNode(ctx_, kRootInode, "x", NewNode{S_IFLNK, 0, 0, ""}));
  EXPECT_CODE(
      Code::kNameTooLong,
      service_->MakeNode(ctx_, kRootInode, "x", NewNode{S_IFLNK, 0, 0, std::string(4096, 'x')}));
}

TEST_P(AttrTest, SetgidDirectoriesHandDownTheirGroup) {
  const InodeId d = MakeDirectory(kRootInode, "d");
  EXPECT_OK(service_->SetAttr(ctx_, d, Owner({}, 77)));
  EXPECT_OK(service_->SetAttr(ctx_, d, Mode(02775)));
  const Attr sub = Value(service_->MakeNode(ctx_, d, "sub", {S_IFDIR | 0755, 0, 0, ""}));
  EXPECT_EQ(sub.gid, 77u);
  EXPECT_EQ(sub.mode, S_IFDIR | 02755u);
  const Attr file = Value(service_->Create(ctx_, d, "f", {S_IFREG | 0644, 0, 0, ""})).attr;
  EXPECT_EQ(file.gid, 77u);
  EXPECT_EQ(file.mode, S_IFREG | 0644u);
  EXPECT_OK(service_->SetAttr(ctx_, d, Mode(02777)));
  const Attr program =
      Value(service_->Create(As(1000, 1000), d, "p", {S_IFREG | 02755, 0, 0, ""})).attr;
  EXPECT_EQ(program.mode, S_IFREG | 0755u) << "not a member of the group";
}

TEST_P(AttrTest, ChangesSetCtimeAndNothingElse) {
  const InodeId f = MakeFile(kRootInode, "f");
  const Attr before = Stat(f);
  Tick();
  const Attr after = Value(service_->SetAttr(ctx_, f, Mode(0600)));
  EXPECT_EQ(after.mode, S_IFREG | 0600u);
  EXPECT_EQ(after.ctime, now_);
  EXPECT_EQ(after.mtime, before.mtime);
  EXPECT_EQ(after.atime, before.atime);
  EXPECT_EQ(after.btime, before.btime);

  AttrChange times;
  times.atime = Timestamp{-5, 7};
  times.mtime_now = true;
  Tick();
  const Attr timed = Value(service_->SetAttr(ctx_, f, times));
  EXPECT_EQ(timed.atime, (Timestamp{-5, 7}));
  EXPECT_EQ(timed.mtime, now_);

  AttrChange read;
  read.atime = Timestamp{9, 9};
  read.atime_only = true;
  const Timestamp ctime = timed.ctime;
  Tick();
  const Attr touched = Value(service_->SetAttr(ctx_, f, read));
  EXPECT_EQ(touched.atime, (Timestamp{9, 9}));
  EXPECT_EQ(touched.ctime, ctime);
  Reopen();
  EXPECT_EQ(Stat(f).atime, (Timestamp{9, 9}));
}

TEST_P(AttrTest, TruncationIsContent) {
  const InodeId f = MakeFile(kRootInode, "f");
  const uint64_t generation = Stat(f).generation;
  AttrChange change;
  change.content = Content(123);
  const Attr after = Value(service_->SetAttr(ctx_, f, change));
  EXPECT_EQ(after.size_bytes, 123u);
  EXPECT_GT(after.generation, generation) << "what was copied before is old";
  EXPECT_EQ(Value(service_->Locate(ctx_, f)).replicas[0].generation, after.generation);
  EXPECT_CODE(Code::kIsDirectory, service_->SetAttr(ctx_, kRootInode, change));
}

TEST_P(AttrTest, SetuidIsClearedWhenAsked) {
  const struct {
    uint32_t before, after;
  } kCases[] = {{06755, 0755}, {06745, 02745}, {04755, 0755}, {02755, 0755}};
  const InodeId f = MakeFile(kRootInode, "f");
  for (const auto& c : kCases) {
    EXPECT_OK(service_->SetAttr(ctx_, f, Mode(c.before)));
    AttrChange change = Owner(5, {});
    change.clear_suid = true;
    EXPECT_EQ(Value(service_->SetAttr(ctx_, f, change)).mode & 07777, c.after);
  }
}

TEST_P(AttrTest, WhoMayChangeWhat) {
  const InodeId f =
      Value(service_->Create(As(0, 0), kRootInode, "f", {S_IFREG | 0620, 0, 0, ""})).attr.inode;
  EXPECT_OK(service_->SetAttr(ctx_, f, Owner(1000, 100)));
  const CallContext owner = As(1000, 1000, {100, 200}), member = As(1001, 100), other = As(1002, 1);
  AttrChange now, then;
  now.mtime_now = true;
  then.mtime = Timestamp{1, 1};
  const struct {
    const char* what;
    const CallContext& ctx;
    AttrChange change;
    Code code;
  } kCases[] = {
      {"owner chmods", owner, Mode(0620), Code{}},
      {"member chmods", member, Mode(0777), Code::kNotPermitted},
      {"owner gives it away", owner, Owner(1001, {}), Code::kNotPermitted},
      {"owner to himself", owner, Owner(1000, {}), Code{}},
      {"owner to his group", owner, Owner({}, 200), Code{}},
      {"back", owner, Owner({}, 100), Code{}},
      {"owner to a strange group", owner, Owner({}, 300), Code::kNotPermitted},
      {"owner sets times", owner, then, Code{}},
      {"member sets times", member, then, Code::kNotPermitted},
      {"member touches", member, now, Code{}},
      {"other touches", other, now, Code::kAccess},
      {"root", As(0, 0), Owner(1000, 100), Code{}},
  };
  for (const auto& c : kCases)
    EXPECT_EQ(c.code, CodeOf(service_->SetAttr(c.ctx, f, c.change))) << c.what;
}

TEST_P(AttrTest, DirectoriesAreEnteredByThoseWhoMay) {
  const InodeId d = MakeDirectory(kRootInode, "d", 0750);
  MakeFile(d, "f");
  const CallContext other = As(1000, 1000);
  EXPECT_CODE(Code::kAccess, service_->Lookup(other, d, "f"));
  EXPECT_CODE(Code::kAccess, service_->Lookup(other, d, "missing"));
  EXPECT_OK(service_->SetAttr(ctx_, d, Mode(0755)));
  EXPECT_OK(service_->Lookup(other, d, "f"));
  EXPECT_CODE(Code::kAccess, service_->Unlink(other, d, "f"));
  EXPECT_CODE(Code::kNotFound, service_->Unlink(other, d, "missing"));
  EXPECT_CODE(Code::kExists, service_->Create(other, d, "f", NewNode{S_IFREG | 0644, 0, 0, ""}));
  EXPECT_CODE(Code::kAccess, service_->Create(other, d, "g", NewNode{S_IFREG | 0644, 0, 0, ""}));
  EXPECT_CODE(Code::kNotPermitted,
              service_->MakeNode(As(1000, 1000), MakeDirectory(d, "open", 0777), "dev",
                                 NewNode{S_IFCHR | 0644, 0, 1, ""}));
}

TEST_P(AttrTest, ResolveFollowsSymlinks) {
  const InodeId d = MakeDirectory(kRootInode, "d");
  const InodeId f = MakeFile(d, "f");
  const auto link = [&](InodeId parent, const char* name, const char* target) {
    EXPECT_OK(service_->MakeNode(ctx_, parent, name, {S_IFLNK | 0777, 0, 0, target}));
  };
  link(kRootInode, "relative", "d/f");
  link(d, "absolute", "/d/../d/f");
  link(d, "up", "..");
  link(kRootInode, "loop", "loop");
  link(kRootInode, "dangling", "nowhere");
  const struct {
    const char* path;
    bool follow;
    Code code;
    InodeId inode;
  } kCases[] = {
      {"/", true, Code{}, kRootInode},
      {"", true, Code{}, kRootInode},
      {"d/f", true, Code{}, f},
      {"//d//.//f", true, Code{}, f},
      {"relative", true, Code{}, f},
      {"d/absolute", true, Code{}, f},
      {"d/up/d/up/relative", true, Code{}, f},
      {"d/../..", true, Code{}, kRootInode},
      {"d/f/", true, Code::kNotDirectory, {}},
      {"d/f/x", true, Code::kNotDirectory, {}},
      {"loop", true, Code::kLoop, {}},
      {"dangling", true, Code::kNotFound, {}},
      {"d/up/", false, Code{}, kRootInode},
  };
  for (const auto& c : kCases) {
    const auto attr = service_->Resolve(ctx_, kRootInode, c.path, c.follow);
    EXPECT_EQ(c.code, CodeOf(attr)) << c.path;
    if (attr) {
      EXPECT_EQ(attr->inode, c.inode) << c.path;
    }
  }
  EXPECT_TRUE(Value(service_->Resolve(ctx_, kRootInode, "loop", false)).is_symlink());
  EXPECT_CODE(Code::kNameTooLong,
              service_->Resolve(ctx_, kRootInode, std::string(5000, 'x'), true));
}

PXFS_BOTH_ENGINES(AttrTest);

}  // namespace
}  // namespace pxfs::meta
