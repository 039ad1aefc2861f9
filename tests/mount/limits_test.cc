// What a file can have at most: bytes of an extended attribute, names of them, entries of an access
// list, hard links; and that what fits is kept.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "meta/types.h"
#include "tests/support/long_run.h"
#include "tests/support/mounted_cluster.h"

namespace pxfs::test {
namespace {

constexpr size_t kMostBytesOfNames = 65536;  // XATTR_LIST_MAX of Linux
constexpr size_t kMostAclEntries = 511;      // Linux passes a page to a FUSE file system, no more

// As in an xattr: linux/posix_acl_xattr.h.
struct AclEntry {
  uint16_t tag, permissions;
  uint32_t id;
};

std::string AclOf(size_t entries) {
  constexpr uint32_t kVersion = 2, kNobody = ~0u;
  constexpr uint16_t kUserObject = 1, kUser = 2, kGroupObject = 4, kMask = 16, kOther = 32;
  std::vector<AclEntry> list = {{kUserObject, 6, kNobody}};
  for (uint32_t id = 1000; list.size() < entries - 3; ++id) list.push_back({kUser, 4, id});
  list.push_back({kGroupObject, 4, kNobody});
  list.push_back({kMask, 4, kNobody});
  list.push_back({kOther, 4, kNobody});
  std::string value(reinterpret_cast<const char*>(&kVersion), sizeof kVersion);
  value.append(reinterpret_cast<const char*>(list.data()), list.size() * sizeof(AclEntry));
  return value;
}

class Limits : public testing::Test {
 protected:
  void SetUp() override {
    auto mounted = MountedCluster::Start({});
    ASSERT_TRUE(mounted) << mounted.error().message();
    mounted_ = std::move(*mounted);
    file_ = mounted_->path() + "/file";
    ASSERT_TRUE(OpenAt(AT_FDCWD, file_, O_WRONLY | O_CREAT, 0644));
  }
  void TearDown() override {
    if (mounted_) EXPECT_STATUS(mounted_->Stop());
  }

  // 0 or the errno.
  int Set(const std::string& name, const std::string& value) const {
    return ::setxattr(file_.c_str(), name.c_str(), value.data(), value.size(), 0) == 0 ? 0 : errno;
  }
  std::string Get(const std::string& name) const {
    std::string value(meta::kMaxXattrValueBytes, 0);
    const ssize_t size = ::getxattr(file_.c_str(), name.c_str(), value.data(), value.size());
    EXPECT_GE(size, 0) << name << ": " << std::strerror(errno);
    value.resize(size < 0 ? 0 : static_cast<size_t>(size));
    return value;
  }

  std::unique_ptr<MountedCluster> mounted_;
  std::string file_;
};

TEST_F(Limits, XattrsOfUpTo64KiBAreKept) {
  const std::vector<size_t> sizes = {0, 1, 4095, 4096, 4097, 20'000, meta::kMaxXattrValueBytes};
  const auto name = [](size_t size) { return "user." + std::to_string(size); };
  const auto value = [](size_t size) {
    std::string bytes(size, 0);
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31 + size);
    return bytes;
  };
  for (const size_t size : sizes) EXPECT_EQ(Set(name(size), value(size)), 0) << size;
  EXPECT_EQ(Set("user.more", std::string(meta::kMaxXattrValueBytes + 1, 'x')), E2BIG);
  const std::string longest = "user." + std::string(meta::kMaxXattrNameBytes - 5, 'n');
  EXPECT_EQ(Set(longest, "of the longest name"), 0);
  EXPECT_EQ(Set(longest + "n", "x"), ERANGE);
  ASSERT_STATUS(mounted_->Stop());
  ASSERT_STATUS(mounted_->Restart());
  for (const size_t size : sizes) EXPECT_TRUE(Get(name(size)) == value(size)) << size;
  EXPECT_EQ(Get(longest), "of the longest name");
}

// As on XFS: there may be more names than listxattr(2) can tell, and each is still there.
TEST_F(Limits, MoreXattrsThanCanBeListed) {
  const auto name = [](size_t i) { return "user." + std::to_string(i) + std::string(200, 'n'); };
  size_t names = 0;
  for (size_t bytes = 0; bytes <= kMostBytesOfNames; bytes += name(names++).size() + 1)
    ASSERT_EQ(Set(name(names), std::to_string(names)), 0) << names;
  std::string list(kMostBytesOfNames, 0);
  EXPECT_EQ(::listxattr(file_.c_str(), list.data(), list.size()), -1);
  EXPECT_EQ(errno, E2BIG);
  for (size_t i = 0; i < names; ++i) EXPECT_EQ(Get(name(i)), std::to_string(i));
  for (size_t i = 0; i < names; ++i)
    EXPECT_EQ(::removexattr(file_.c_str(), name(i).c_str()), 0) << std::strerror(errno);
  EXPECT_EQ(::listxattr(file_.c_str(), nullptr, 0), 0);
}

TEST_F(Limits, EntriesOfAnAccessList) {
  const std::string most = AclOf(kMostAclEntries);
  EXPECT_EQ(Set("system.posix_acl_access", most), 0);
  EXPECT_EQ(Set("system.posix_acl_access", AclOf(kMostAclEntries + 1)), E2BIG);
  EXPECT_TRUE(Get("system.posix_acl_access") == most);
}

// In long runs; meta_conformance_test has it without a mount each time.
TEST_F(Limits, HardLinks) {
  if (!LongRun()) GTEST_SKIP() << "65,000 requests";
  const std::string directory = mounted_->path() + "/links";
  ASSERT_EQ(::mkdir(directory.c_str(), 0755), 0);
  const auto link = [&](uint32_t i) {
    return ::link(file_.c_str(), (directory + "/" + std::to_string(i)).c_str()) == 0 ? 0 : errno;
  };
  for (uint32_t links = 1; links < meta::kMaxLinks; ++links) ASSERT_EQ(link(links), 0) << links;
  EXPECT_EQ(link(meta::kMaxLinks), EMLINK);
  struct stat st;
  ASSERT_EQ(::stat(file_.c_str(), &st), 0);
  EXPECT_EQ(st.st_nlink, meta::kMaxLinks);
  ASSERT_EQ(::unlink((directory + "/1").c_str()), 0);
  EXPECT_EQ(link(meta::kMaxLinks), 0);
  EXPECT_EQ(link(1), EMLINK);
}

}  // namespace
}  // namespace pxfs::test
