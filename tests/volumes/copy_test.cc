#include "volumes/copy.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/temporary_directory.h"
#include "volumes/extents.h"

namespace pxfs::volumes {
namespace {

const VolumeIdentity kIdentity{"cluster-a", "volume-a", "v1"};
const ObjectName kObject{InodeId(7), 3};

std::string Slurp(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

std::string OriginOf(const std::string& path) {
  char value[4096];
  const ssize_t size = ::getxattr(path.c_str(), "trusted.pxfs.origin", value, sizeof value);
  return size < 0 ? "" : std::string(value, static_cast<size_t>(size));
}

class CopyTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Volume::Format(root_, kIdentity));
    auto opened = Volume::Open(VolumeId(1), root_, kIdentity);
    ASSERT_TRUE(opened);
    volume_ = *opened;
  }

  UniqueFd Source(const std::string& content) {
    std::ofstream(source_, std::ios::binary) << content;
    return UniqueFd(::open(source_.c_str(), O_RDWR | O_CLOEXEC));
  }
  std::string ObjectPath() const { return root_ + "/" + kObject.RelativePath(); }
  Result<CopyResult> Copy(int fd, const CopyOptions& options = {}) {
    return CopyIntoObject(*volume_, kObject, owner_, fd, options);
  }

  test::TemporaryDirectory temporary_;
  const std::string root_ = temporary_ / "v1";
  const std::string source_ = temporary_ / "source";
  const ObjectOwner owner_{::geteuid(), ::getegid(), 0640};
  std::shared_ptr<Volume> volume_;
};

TEST_F(CopyTest, CopiesContentOwnerAndTimes) {
  std::string content;
  while (content.size() < (3 << 20) + 12345)
    content += "line " + std::to_string(content.size()) + "\n";
  for (const std::string& text : {std::string(), std::string("x"), content}) {
    ASSERT_TRUE(volume_->RemoveObject(kObject));
    const UniqueFd source = Source(text);
    const struct timespec times[2] = {{1000, 5}, {2000, 7}};
    ASSERT_EQ(::futimens(source.get(), times), 0);
    const auto copied = Copy(source.get(), {.verify = true, .progress = {}});
    ASSERT_TRUE(copied) << copied.error().message();
    EXPECT_EQ(copied->checksum, Hash(text));
    EXPECT_EQ(copied->object.st_size, static_cast<off_t>(text.size()));
    EXPECT_EQ(copied->object.st_mode & 07777, 0640u);
    EXPECT_EQ(copied->object.st_atim.tv_sec, 1000);
    EXPECT_EQ(copied->object.st_mtim.tv_sec, 2000);
    EXPECT_EQ(copied->object.st_mtim.tv_nsec, 7);
    EXPECT_EQ(Slurp(ObjectPath()), text);
    std::filesystem::remove(source_);
  }
}

TEST_F(CopyTest, HolesStayHolesAndCountInTheChecksum) {
  const UniqueFd source = Source("");
  const uint64_t size = 64 << 20;
  ASSERT_EQ(::ftruncate(source.get(), size), 0);
  ASSERT_EQ(::pwrite(source.get(), "middle", 6, 20 << 20), 6);
  const auto copied = Copy(source.get(), {.verify = true, .progress = {}});
  ASSERT_TRUE(copied) << copied.error().message();
  EXPECT_EQ(copied->object.st_size, static_cast<off_t>(size));
  EXPECT_LT(copied->object.st_blocks * 512, 1 << 20);
  std::string content(size, '\0');
  content.replace(20 << 20, 6, "middle");
  EXPECT_EQ(copied->checksum, Hash(content));
  EXPECT_TRUE(Slurp(ObjectPath()) == content);
}

TEST_F(CopyTest, TheOriginSealsIt) {
  ASSERT_TRUE(Copy(Source("text").get(), {.origin = "/data/file"}));
  EXPECT_EQ(OriginOf(ObjectPath()), ::geteuid() == 0 ? "7 /data/file" : "");
}

TEST_F(CopyTest, SetuidBitsStay) {
  const ObjectOwner owner{12, 34, 06755};
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  const auto copied = CopyIntoObject(*volume_, kObject, owner, Source("text").get(), {});
  ASSERT_TRUE(copied) << copied.error().message();
  EXPECT_EQ(copied->object.st_mode & 07777, 06755u);
  EXPECT_EQ(copied->object.st_uid, 12u);
  EXPECT_EQ(copied->object.st_gid, 34u);
}

TEST_F(CopyTest, AnObjectInTheWayStays) {
  ASSERT_TRUE(Copy(Source("first").get()));
  const auto second = Copy(Source("second").get());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Code::kExists);
  EXPECT_EQ(Slurp(ObjectPath()), "first");
}

TEST_F(CopyTest, GivingUpLeavesNothing) {
  const UniqueFd source = Source(std::string(4 << 20, 'x'));
  uint64_t seen = 0;
  const auto copied =
      Copy(source.get(), {.reflink = false, .progress = [&](uint64_t n) {
                            EXPECT_EQ(OriginOf(ObjectPath()), "");  // not sealed yet
                            seen += n;
                            return seen < (2 << 20);
                          }});
  ASSERT_FALSE(copied);
  EXPECT_EQ(copied.error().code(), Code::kInterrupted);
  EXPECT_EQ(volume_->StatObject(kObject).error().code(), Code::kNotFound);
}

TEST_F(CopyTest, AChangeOfTheSourceIsNoticed) {
  for (const bool shorter : {false, true}) {
    const UniqueFd source = Source(std::string(4 << 20, 'x'));
    bool changed = false;
    const auto copied = Copy(source.get(), {.reflink = false, .progress = [&](uint64_t) {
                                              if (changed) return true;
                                              changed = true;
                                              return shorter
                                                         ? ::ftruncate(source.get(), 100) == 0
                                                         : ::pwrite(source.get(), "y", 1, 0) == 1;
                                            }});
    ASSERT_FALSE(copied) << shorter;
    EXPECT_EQ(copied.error().code(), Code::kStale) << shorter;
    EXPECT_EQ(volume_->StatObject(kObject).error().code(), Code::kNotFound);
  }
}

TEST_F(CopyTest, AFullVolumeSaysSoAndKeepsNothing) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to mount";
  const std::string small = temporary_ / "small";
  std::filesystem::create_directory(small);
  ASSERT_EQ(::mount("pxfs-test", small.c_str(), "tmpfs", 0, "size=1m"), 0);
  ASSERT_TRUE(Volume::Format(small, kIdentity));
  {
    const auto volume = Volume::Open(VolumeId(2), small, kIdentity);
    ASSERT_TRUE(volume);
    const uint64_t free_before = (*volume)->Inspect().free_bytes;
    const auto copied =
        CopyIntoObject(**volume, kObject, owner_, Source(std::string(4 << 20, 'x')).get(), {});
    ASSERT_FALSE(copied);
    EXPECT_EQ(copied.error().code(), Code::kNoSpace);
    EXPECT_EQ((*volume)->StatObject(kObject).error().code(), Code::kNotFound);
    // All but the object's directory, which may stay.
    EXPECT_GE((*volume)->Inspect().free_bytes + 8192, free_before);
  }
  EXPECT_EQ(::umount(small.c_str()), 0);
}

TEST_F(CopyTest, ChecksumOfAFile) {
  const auto checksum = ChecksumFile(Source("some content").get());
  ASSERT_TRUE(checksum);
  EXPECT_EQ(*checksum, Hash("some content"));
}

TEST_F(CopyTest, ExtentsCoverTheFile) {
  const UniqueFd source = Source("");
  ASSERT_EQ(::ftruncate(source.get(), 10 << 20), 0);
  ASSERT_EQ(::pwrite(source.get(), "a", 1, 4 << 20), 1);
  uint64_t position = 0, data = 0;
  ASSERT_TRUE(ForEachExtent(source.get(), 10 << 20, [&](const Extent& extent) -> Status {
    EXPECT_EQ(extent.offset, position);
    position += extent.size;
    if (!extent.hole) data += extent.size;
    return {};
  }));
  EXPECT_EQ(position, 10u << 20);
  EXPECT_GT(data, 0u);
  EXPECT_LT(data, 1u << 20);
}

}  // namespace
}  // namespace pxfs::volumes
