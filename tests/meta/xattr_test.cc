// meta/ops/*_xattr*.cc and ACLs: meta/posix_acl.cc, meta/acl_xattrs.cc.
#include <sys/xattr.h>

#include "meta/posix_acl.h"
#include "tests/meta/service_fixture.h"

namespace pxfs::meta {
namespace {

constexpr uint32_t kNoId = 0xffffffff;
using E = AclEntry;

class XattrTest : public ServiceTest {
 protected:
  Acl GetAcl(InodeId inode, std::string_view name) {
    const auto value = service_->GetXattr(ctx_, inode, name);
    return value ? Value(ParseAcl(*value)) : Acl{};
  }
  static std::vector<uint32_t> Permissions(const Acl& acl) {
    std::vector<uint32_t> out;
    for (const AclEntry& entry : acl) out.push_back(entry.permissions);
    return out;
  }
};

TEST_P(XattrTest, SetGetListRemove) {
  const InodeId f = MakeFile(kRootInode, "f");
  EXPECT_CODE(Code::kNoData, service_->GetXattr(ctx_, f, "user.a"));
  Tick();
  EXPECT_OK(service_->SetXattr(ctx_, f, "user.a", std::string("1\0x", 3), 0));
  EXPECT_EQ(Stat(f).ctime, now_);
  EXPECT_OK(service_->SetXattr(ctx_, f, "trusted.b", "", XATTR_CREATE));
  EXPECT_OK(service_->SetXattr(ctx_, f, "security.c", "3", 0));
  EXPECT_CODE(Code::kExists, service_->SetXattr(ctx_, f, "user.a", "2", XATTR_CREATE));
  EXPECT_CODE(Code::kNoData, service_->SetXattr(ctx_, f, "user.z", "2", XATTR_REPLACE));
  Reopen();
  EXPECT_EQ(Value(service_->GetXattr(ctx_, f, "user.a")), std::string("1\0x", 3));
  EXPECT_EQ(Value(service_->ListXattrs(ctx_, f)),
            (std::vector<std::string>{"security.c", "trusted.b", "user.a"}));
  EXPECT_EQ(Value(service_->ListXattrs(As(1000, 1000), f)),
            (std::vector<std::string>{"security.c", "user.a"}));
  EXPECT_OK(service_->RemoveXattr(ctx_, f, "user.a"));
  EXPECT_CODE(Code::kNoData, service_->RemoveXattr(ctx_, f, "user.a"));
}

TEST_P(XattrTest, Rules) {
  const InodeId f = MakeFile(kRootInode, "f");
  const InodeId link =
      Value(service_->MakeNode(ctx_, kRootInode, "l", {S_IFLNK | 0777, 0, 0, "f"})).inode;
  const InodeId fifo =
      Value(service_->MakeNode(ctx_, kRootInode, "p", {S_IFIFO | 0666, 0, 0, ""})).inode;
  const InodeId sticky = MakeDirectory(kRootInode, "t", 01777);
  const CallContext user = As(1000, 1000);
  const struct {
    const char* what;
    CallContext ctx;
    InodeId inode;
    std::string name;
    Code code;
  } kCases[] = {
      {"empty name", ctx_, f, "", Code::kRange},
      {"long name", ctx_, f, "user." + std::string(251, 'x'), Code::kRange},
      {"longest name", ctx_, f, "user." + std::string(250, 'x'), Code{}},
      {"no namespace", ctx_, f, "color", Code::kNotSupported},
      {"namespace only", ctx_, f, "user.", Code::kInvalid},
      {"system", ctx_, f, "system.other", Code::kNotSupported},
      {"user of a symlink", ctx_, link, "user.a", Code::kNotPermitted},
      {"user of a fifo", ctx_, fifo, "user.a", Code::kNotPermitted},
      {"trusted of a symlink", ctx_, link, "trusted.a", Code{}},
      {"trusted by a user", user, f, "trusted.a", Code::kNotPermitted},
      {"security by a user", user, f, "security.a", Code::kNotPermitted},
      {"user without write permission", user, f, "user.a", Code::kAccess},
      {"user on another's sticky directory", user, sticky, "user.a", Code::kNotPermitted},
  };
  for (const auto& c : kCases)
    EXPECT_EQ(c.code, CodeOf(service_->SetXattr(c.ctx, c.inode, c.name, "v", 0))) << c.what;
  EXPECT_CODE(Code::kTooBig, service_->SetXattr(ctx_, f, "user.a", std::string(65537, 'x'), 0));
  EXPECT_OK(service_->SetXattr(ctx_, f, "user.a", std::string(65536, 'x'), 0));
  EXPECT_CODE(Code::kNoData, service_->GetXattr(user, f, "trusted.a"));
  EXPECT_CODE(Code::kNotFound, service_->SetXattr(ctx_, InodeId(999), "user.a", "", 0));
}

TEST_P(XattrTest, AccessAclAndModeFollowEachOther) {
  const InodeId f = MakeFile(kRootInode, "f", 0600);
  const Acl acl = {{E::kUserObj, 7, kNoId},
                   {E::kUser, 6, 1000},
                   {E::kGroupObj, 5, kNoId},
                   {E::kMask, 4, kNoId},
                   {E::kOther, 1, kNoId}};
  EXPECT_OK(service_->SetXattr(ctx_, f, kAccessAclName, SerializeAcl(acl), 0));
  EXPECT_EQ(Stat(f).mode & 0777, 0741u) << "the group bits are the mask";
  AttrChange change;
  change.mode = 0620;
  EXPECT_OK(service_->SetAttr(ctx_, f, change));
  EXPECT_EQ(Permissions(GetAcl(f, kAccessAclName)), (std::vector<uint32_t>{6, 6, 5, 2, 0}));

  EXPECT_CODE(Code::kAccess, service_->OpenForWrite(As(1001, 1001), f, {}));
  EXPECT_OK(service_->OpenForWrite(As(1000, 1000), f, {}));  // named, and the mask has w
  EXPECT_OK(service_->CloseWrite(ctx_, f, Content(0)));

  const Acl minimal = {{E::kUserObj, 6, kNoId}, {E::kGroupObj, 4, kNoId}, {E::kOther, 0, kNoId}};
  EXPECT_OK(service_->SetXattr(ctx_, f, kAccessAclName, SerializeAcl(minimal), 0));
  EXPECT_EQ(Stat(f).mode & 0777, 0640u);
  EXPECT_CODE(Code::kNoData, service_->GetXattr(ctx_, f, kAccessAclName)) << "not kept";
  EXPECT_TRUE(Value(service_->ListXattrs(ctx_, f)).empty());
}

TEST_P(XattrTest, DefaultAclIsInherited) {
  const InodeId d = MakeDirectory(kRootInode, "d");
  const Acl acl = {{E::kUserObj, 7, kNoId},
                   {E::kUser, 7, 1000},
                   {E::kGroupObj, 5, kNoId},
                   {E::kMask, 7, kNoId},
                   {E::kOther, 0, kNoId}};
  EXPECT_CODE(Code::kAccess, service_->SetXattr(ctx_, MakeFile(kRootInode, "f"), kDefaultAclName,
                                                SerializeAcl(acl), 0));
  EXPECT_OK(service_->SetXattr(ctx_, d, kDefaultAclName, SerializeAcl(acl), 0));
  EXPECT_EQ(Stat(d).mode & 0777, 0755u);
  // The umask does not count; what the mode does not ask for is not granted.
  const Attr file = Value(service_->Create(ctx_, d, "f", {S_IFREG | 0664, 077, 0, ""})).attr;
  EXPECT_EQ(file.mode & 0777, 0660u);
  EXPECT_EQ(Permissions(GetAcl(file.inode, kAccessAclName)),
            (std::vector<uint32_t>{6, 7, 5, 6, 0}));
  EXPECT_TRUE(GetAcl(file.inode, kDefaultAclName).empty());
  const Attr sub = Value(service_->MakeNode(ctx_, d, "sub", {S_IFDIR | 0777, 077, 0, ""}));
  EXPECT_EQ(Permissions(GetAcl(sub.inode, kDefaultAclName)),
            (std::vector<uint32_t>{7, 7, 5, 7, 0}));
  EXPECT_EQ(sub.mode & 0777, 0770u);
  EXPECT_OK(service_->RemoveXattr(ctx_, d, kDefaultAclName));
  EXPECT_EQ(Value(service_->Create(ctx_, d, "g", {S_IFREG | 0666, 022, 0, ""})).attr.mode & 0777,
            0644u);
}

TEST_P(XattrTest, BadAclsAreRefused) {
  const InodeId f = MakeFile(kRootInode, "f");
  const Acl kBad[] = {
      {{E::kUserObj, 7, kNoId}},
      {{E::kUserObj, 7, kNoId}, {E::kOther, 7, kNoId}, {E::kGroupObj, 7, kNoId}},
      {{E::kUserObj, 7, kNoId}, {E::kUser, 7, 1}, {E::kGroupObj, 7, kNoId}, {E::kOther, 7, kNoId}},
      {{E::kUserObj, 8, kNoId}, {E::kGroupObj, 7, kNoId}, {E::kOther, 7, kNoId}},
      {{E::kUserObj, 7, kNoId},
       {E::kUserObj, 7, kNoId},
       {E::kGroupObj, 7, kNoId},
       {E::kOther, 7, kNoId}},
      {{0x40, 7, kNoId}, {E::kGroupObj, 7, kNoId}, {E::kOther, 7, kNoId}},
  };
  for (const Acl& acl : kBad)
    EXPECT_CODE(Code::kInvalid, service_->SetXattr(ctx_, f, kAccessAclName, SerializeAcl(acl), 0));
  EXPECT_CODE(Code::kInvalid, service_->SetXattr(ctx_, f, kAccessAclName, "xyz", 0));
  EXPECT_CODE(Code::kNotSupported,
              service_->SetXattr(ctx_, f, kAccessAclName, std::string("\1\0\0\0", 4), 0));
  EXPECT_OK(service_->SetXattr(ctx_, f, kAccessAclName, SerializeAcl({}), 0));
}

TEST_P(XattrTest, GroupsOfAnAclAreUnited) {
  const Acl acl = {{E::kUserObj, 6, kNoId}, {E::kGroupObj, 4, kNoId}, {E::kGroup, 2, 50},
                   {E::kGroup, 1, 60},      {E::kMask, 6, kNoId},     {E::kOther, 7, kNoId}};
  const std::vector<uint32_t> groups = {50, 60};
  const AclSubject member{1000, 40, &groups}, outsider{1000, 41, nullptr};
  EXPECT_TRUE(AclGrants(acl, 1, 40, member, 4));
  EXPECT_TRUE(AclGrants(acl, 1, 40, member, 2));
  EXPECT_FALSE(AclGrants(acl, 1, 40, member, 1)) << "masked";
  EXPECT_FALSE(AclGrants(acl, 1, 40, member, 6)) << "no single entry grants both";
  EXPECT_TRUE(AclGrants(acl, 1, 40, outsider, 7));
  EXPECT_TRUE(AclGrants(acl, 1000, 40, member, 6)) << "the owner's entry decides";
}

PXFS_BOTH_ENGINES(XattrTest);

}  // namespace
}  // namespace pxfs::meta
