#include <sys/xattr.h>

#include "tests/meta/conformance/conformance_test.h"

namespace pxfs::meta {
namespace {

using ConformanceInodes = ConformanceTest;
PXFS_BOTH_SHAPES(ConformanceInodes);

TEST_P(ConformanceInodes, GetAttr) {
  const Attr root = Stat(kRootInode);
  EXPECT_TRUE(root.is_directory());
  EXPECT_EQ(root.inode, kRootInode);
  EXPECT_CODE(Code::kNotFound, service().GetAttr(ctx_, InodeId(999'999)));
  EXPECT_CODE(Code::kNotFound, service().GetAttr(ctx_, InodeId()));
}

TEST_P(ConformanceInodes, SetAttrChangesWhatIsGiven) {
  const InodeId file = MakeFile(kRootInode, "f", 0644, 100);
  const Attr before = Stat(file);
  const Timestamp early{-5, 999'999'999}, late{4'000'000'000, 0};
  Attr after = Value(service().SetAttr(ctx_, file, {.mode = 04711}));
  EXPECT_EQ(after.mode, S_IFREG | 04711u);
  EXPECT_EQ(after.uid, before.uid);
  EXPECT_EQ(after.mtime, before.mtime);
  EXPECT_GE(after.ctime, before.ctime);
  after = Value(service().SetAttr(ctx_, file, {.uid = 0xFFFFFFFE, .gid = 77}));
  EXPECT_EQ(after.uid, 0xFFFFFFFEu);
  EXPECT_EQ(after.gid, 77u);
  after = Value(service().SetAttr(ctx_, file, {.atime = early, .mtime = late}));
  EXPECT_EQ(after.atime, early);
  EXPECT_EQ(after.mtime, late);
  after = Value(service().SetAttr(ctx_, file, {.atime_now = true, .mtime_now = true}));
  EXPECT_GT(after.atime.seconds, before.ctime.seconds - 60);
  EXPECT_EQ(after.atime, after.mtime);
  EXPECT_OK(service().SetAttr(ctx_, file, {.mode = 06775}));
  EXPECT_EQ(Value(service().SetAttr(ctx_, file, {.clear_suid = true})).mode, S_IFREG | 0775u);
  EXPECT_OK(service().SetAttr(ctx_, file, {.mode = 06765}));
  EXPECT_EQ(Value(service().SetAttr(ctx_, file, {.clear_suid = true})).mode, S_IFREG | 02765u);
  EXPECT_EQ(Stat(file).mode, S_IFREG | 02765u);
  EXPECT_CODE(Code::kNotFound, service().SetAttr(ctx_, InodeId(999'999), {.mode = 0}));
}

TEST_P(ConformanceInodes, SetAttrOfContentAfterTruncation) {
  const InodeId file = MakeFile(kRootInode, "f", 0644, 100);
  const uint64_t generation = Stat(file).generation;
  const Attr after = Value(service().SetAttr(ctx_, file, {.content = Content(10)}));
  EXPECT_EQ(after.size_bytes, 10u);
  EXPECT_EQ(after.blocks, 1u);
  EXPECT_EQ(after.mtime, Content(10).mtime);
  EXPECT_GT(after.generation, generation);
  EXPECT_EQ(Value(service().Locate(ctx_, file)).replicas.at(0).generation, after.generation);
}

TEST_P(ConformanceInodes, FlagsForbid) {
  const InodeId directory = MakeDirectory(kRootInode, "d"), file = MakeFile(directory, "f");
  AttrChange change;
  const auto set = [&](InodeId inode, uint32_t flags) {
    change.flags = flags;
    EXPECT_EQ(Value(service().SetAttr(ctx_, inode, change)).flags, flags);
    EXPECT_EQ(Stat(inode).flags, flags);
  };
  for (const uint32_t flags : {kImmutable, kAppendOnly, kKeptFlags}) {
    set(file, flags);
    EXPECT_CODE(Code::kNotPermitted, service().SetAttr(ctx_, file, {.mode = 0}));
    EXPECT_CODE(Code::kNotPermitted, service().SetAttr(ctx_, file, {.uid = 5}));
    EXPECT_CODE(Code::kNotPermitted, service().SetAttr(ctx_, file, {.mtime = Timestamp{1, 2}}));
    EXPECT_CODE(Code::kNotPermitted, service().SetAttr(ctx_, file, {.content = Content(1)}));
    EXPECT_OK(service().SetAttr(ctx_, file, {.atime = Timestamp{1, 2}, .atime_only = true}));
    EXPECT_CODE(Code::kNotPermitted, service().SetXattr(ctx_, file, "user.x", "y", 0));
    EXPECT_CODE(Code::kNotPermitted, service().RemoveXattr(ctx_, file, "user.x"));
    EXPECT_CODE(Code::kNotPermitted, service().Link(ctx_, file, kRootInode, "link"));
    EXPECT_CODE(Code::kNotPermitted, service().Unlink(ctx_, directory, "f"));
    EXPECT_CODE(Code::kNotPermitted,
                service().Rename(ctx_, directory, "f", kRootInode, "moved", 0));
    const bool immutable = flags & kImmutable;
    EXPECT_CODE(Code::kNotPermitted, service().SetAttr(ctx_, file, {.mtime_now = true}));
    const auto touched = service().SetAttr(ctx_, file, {.atime_now = true, .mtime_now = true});
    EXPECT_EQ(touched.has_value(), !immutable);
    const auto opened = service().OpenForWrite(ctx_, file, VolumeId());
    EXPECT_EQ(opened.has_value(), !immutable);
    if (opened) {
      EXPECT_OK(service().CloseWrite(ctx_, file, Content(2)));
    }
    set(file, 0);

    set(directory, flags);
    EXPECT_CODE(Code::kNotPermitted, service().Unlink(ctx_, directory, "f"));
    EXPECT_CODE(Code::kNotPermitted, service().Rename(ctx_, directory, "f", directory, "g", 0));
    const auto made = service().MakeNode(ctx_, directory, "new" + std::to_string(flags),
                                         {.mode = S_IFDIR | 0755});
    EXPECT_EQ(made.has_value(), !immutable);
    set(directory, 0);
  }
  CallContext other = ctx_;
  other.check_access = true;
  other.uid = other.gid = 1000;
  EXPECT_OK(service().SetAttr(ctx_, file, {.uid = 1000}));
  EXPECT_CODE(Code::kNotPermitted, service().SetAttr(other, file, change));
  change.flags = 0x40;
  EXPECT_CODE(Code::kNotSupported, service().SetAttr(ctx_, file, change));
  EXPECT_EQ(Value(service().Unlink(ctx_, directory, "f")).inode, file);
}

TEST_P(ConformanceInodes, AnAtimeAloneLeavesCtime) {
  const InodeId file = MakeFile(kRootInode, "f");
  EXPECT_OK(service().SetAttr(ctx_, file, {.mtime = Timestamp{1, 2}}));
  const Attr before = Stat(file);
  const Attr after = Value(
      service().SetAttr(ctx_, file, {.atime = Timestamp{1'500'000'000, 5}, .atime_only = true}));
  EXPECT_EQ(after.atime, (Timestamp{1'500'000'000, 5}));
  EXPECT_EQ(after.ctime, before.ctime);
  EXPECT_EQ(after.mtime, before.mtime);
}

TEST_P(ConformanceInodes, SetAttrChecksWhoAsks) {
  const InodeId file = MakeFile(kRootInode, "f");
  const CallContext user = As(kUser, kUser, {2000});
  EXPECT_CODE(Code::kNotPermitted, service().SetAttr(user, file, {.mode = 0600}));
  EXPECT_CODE(Code::kNotPermitted, service().SetAttr(user, file, {.uid = kUser}));
  EXPECT_CODE(Code::kNotPermitted, service().SetAttr(user, file, {.mtime = Timestamp{}}));
  EXPECT_CODE(Code::kAccess, service().SetAttr(user, file, {.mtime_now = true}));
  EXPECT_OK(service().SetAttr(ctx_, file, {.uid = kUser}));
  EXPECT_OK(service().SetAttr(user, file, {.mode = 0600}));
  EXPECT_OK(service().SetAttr(user, file, {.gid = 2000}));
  EXPECT_CODE(Code::kNotPermitted, service().SetAttr(user, file, {.gid = 3000}));
  // A group that the owner is not in: no setgid.
  EXPECT_OK(service().SetAttr(ctx_, file, {.gid = 3000}));
  EXPECT_EQ(Value(service().SetAttr(user, file, {.mode = 02755})).mode, S_IFREG | 0755u);
}

TEST_P(ConformanceInodes, Xattrs) {
  const InodeId file = MakeFile(kRootInode, "f");
  const std::string binary("a\0b\xff", 4), longest(kMaxXattrValueBytes, 'v');
  EXPECT_CODE(Code::kNoData, service().GetXattr(ctx_, file, "user.a"));
  EXPECT_OK(service().SetXattr(ctx_, file, "user.a", binary, 0));
  EXPECT_OK(service().SetXattr(ctx_, file, "user.empty", "", XATTR_CREATE));
  EXPECT_OK(service().SetXattr(ctx_, file, "trusted.long", longest, 0));
  EXPECT_OK(service().SetXattr(ctx_, file, "security.x", "1", 0));
  EXPECT_EQ(Value(service().GetXattr(ctx_, file, "user.a")), binary);
  EXPECT_EQ(Value(service().GetXattr(ctx_, file, "user.empty")), "");
  EXPECT_EQ(Value(service().GetXattr(ctx_, file, "trusted.long")), longest);
  EXPECT_THAT(Value(service().ListXattrs(ctx_, file)),
              testing::UnorderedElementsAre("user.a", "user.empty", "trusted.long", "security.x"));
  EXPECT_OK(service().SetXattr(ctx_, file, "user.a", "new", XATTR_REPLACE));
  EXPECT_EQ(Value(service().GetXattr(ctx_, file, "user.a")), "new");
  EXPECT_OK(service().RemoveXattr(ctx_, file, "user.a"));
  EXPECT_CODE(Code::kNoData, service().RemoveXattr(ctx_, file, "user.a"));
  EXPECT_CODE(Code::kNoData, service().GetXattr(ctx_, file, "user.a"));
}

TEST_P(ConformanceInodes, XattrErrors) {
  const InodeId file = MakeFile(kRootInode, "f");
  EXPECT_OK(service().SetXattr(ctx_, file, "user.a", "1", 0));
  EXPECT_CODE(Code::kExists, service().SetXattr(ctx_, file, "user.a", "2", XATTR_CREATE));
  EXPECT_CODE(Code::kNoData, service().SetXattr(ctx_, file, "user.b", "2", XATTR_REPLACE));
  EXPECT_CODE(Code::kRange, service().SetXattr(ctx_, file, "", "1", 0));
  EXPECT_CODE(Code::kRange, service().SetXattr(ctx_, file, "user." + kTooLongName, "1", 0));
  EXPECT_CODE(Code::kTooBig, service().SetXattr(ctx_, file, "user.b",
                                                std::string(kMaxXattrValueBytes + 1, 'v'), 0));
  EXPECT_CODE(Code::kNotSupported, service().SetXattr(ctx_, file, "nonsense", "1", 0));
  EXPECT_CODE(Code::kNotFound, service().SetXattr(ctx_, InodeId(999'999), "user.a", "1", 0));
  EXPECT_CODE(Code::kNotFound, service().ListXattrs(ctx_, InodeId(999'999)));
  EXPECT_CODE(Code::kAccess, service().SetXattr(As(kUser), file, "user.a", "1", 0));
  EXPECT_CODE(Code::kNotPermitted, service().SetXattr(As(kUser), file, "trusted.a", "1", 0));
  EXPECT_OK(service().SetXattr(ctx_, file, "trusted.a", "1", 0));
  EXPECT_CODE(Code::kNoData, service().GetXattr(As(kUser), file, "trusted.a"));
  EXPECT_THAT(Value(service().ListXattrs(As(kUser), file)),
              testing::UnorderedElementsAre("user.a"));
  // user.* belongs on files and directories.
  const InodeId link = MakeSymlink(kRootInode, "l", "x");
  EXPECT_CODE(Code::kNotPermitted, service().SetXattr(ctx_, link, "user.a", "1", 0));
  EXPECT_OK(service().SetXattr(ctx_, link, "trusted.a", "1", 0));
}

// An ACL as the kernel gives it: version 2, entries of (tag, permissions, id).
std::string Acl(std::vector<std::tuple<uint16_t, uint16_t, uint32_t>> entries) {
  std::string bytes("\2\0\0\0", 4);
  const auto put = [&](uint32_t value, int size) {
    for (int i = 0; i < size; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
  };
  for (const auto& [tag, permissions, id] : entries) put(tag, 2), put(permissions, 2), put(id, 4);
  return bytes;
}
constexpr uint16_t kUserObj = 1, kNamedUser = 2, kGroupObj = 4, kMask = 16, kOther = 32;
constexpr uint32_t kNoId = 0xFFFFFFFF;

TEST_P(ConformanceInodes, AccessAclSetsTheMode) {
  const InodeId file = MakeFile(kRootInode, "f", 0600);
  EXPECT_OK(service().SetXattr(ctx_, file, "system.posix_acl_access",
                               Acl({{kUserObj, 7, kNoId},
                                    {kNamedUser, 6, kUser},
                                    {kGroupObj, 0, kNoId},
                                    {kMask, 4, kNoId},
                                    {kOther, 0, kNoId}}),
                               0));
  EXPECT_EQ(Stat(file).mode, S_IFREG | 0740u);
  // As the kernel: a version that is not known, and half an entry.
  EXPECT_CODE(Code::kNotSupported,
              service().SetXattr(ctx_, file, "system.posix_acl_access", "junk", 0));
  EXPECT_CODE(Code::kInvalid, service().SetXattr(ctx_, file, "system.posix_acl_access",
                                                 Acl({{kUserObj, 7, kNoId}}).substr(0, 11), 0));
  // The mask leaves reading.
  EXPECT_OK(service().SetXattr(ctx_, file, "user.a", "1", 0));
  EXPECT_OK(service().GetXattr(As(kUser), file, "user.a"));
  EXPECT_CODE(Code::kAccess, service().SetXattr(As(kUser), file, "user.a", "2", 0));
  EXPECT_CODE(Code::kAccess, service().GetXattr(As(kUser + 1), file, "user.a"));
}

TEST_P(ConformanceInodes, DefaultAclIsInherited) {
  const InodeId directory = MakeDirectory(kRootInode, "d");
  const std::string acl = Acl({{kUserObj, 7, kNoId},
                               {kNamedUser, 7, kUser},
                               {kGroupObj, 5, kNoId},
                               {kMask, 7, kNoId},
                               {kOther, 0, kNoId}});
  EXPECT_OK(service().SetXattr(ctx_, directory, "system.posix_acl_default", acl, 0));
  // The umask does not apply.
  const Attr made = Value(service().MakeNode(ctx_, directory, "sub", {S_IFDIR | 0777, 077}));
  EXPECT_EQ(made.mode, S_IFDIR | 0770u);
  EXPECT_EQ(Value(service().GetXattr(ctx_, made.inode, "system.posix_acl_default")), acl);
  EXPECT_OK(service().MakeNode(As(kUser), made.inode, "mine", {S_IFDIR | 0777}));
}

}  // namespace
}  // namespace pxfs::meta
