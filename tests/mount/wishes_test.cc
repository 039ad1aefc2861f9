// What files ask for themselves: replicate, pin, unpin, evict, and the xattrs that do the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "tests/mount/copies_fixture.h"

namespace pxfs::test {
namespace {

namespace stdfs = std::filesystem;
using testing::HasSubstr;
using Names = std::set<std::string>;

class WishesTest : public CopiesTest {
 protected:
  // "" where there is none.
  std::string Xattr(const std::string& name, const std::string& xattr) const {
    char value[256];
    const ssize_t size = ::getxattr(Path(name).c_str(), xattr.c_str(), value, sizeof value);
    return size < 0 ? "" : std::string(value, static_cast<size_t>(size));
  }
  int SetXattr(const std::string& name, const std::string& xattr, const std::string& value) const {
    return ::setxattr(Path(name).c_str(), xattr.c_str(), value.data(), value.size(), 0) == 0
               ? 0
               : errno;
  }
};
INSTANTIATE_TEST_SUITE_P(Shapes, WishesTest, testing::ValuesIn(ShapesInTime()),
                         [](const auto& info) { return ToString(info.param); });

TEST_P(WishesTest, AFileKeepsTheCopiesThatWereAskedFor) {
  WriteText(Path("f"), "content");
  Pxfs({"replicate", Path("f"), "--copies", "2", "--wait"});
  EXPECT_EQ(Volumes("f").size(), 2u);
  EXPECT_EQ(Xattr("f", "user.pxfs.copies"), "2");
  Pxfs({"replicate", Path("f"), "--copies", "3", "--wait"});
  EXPECT_EQ(Volumes("f"), (Names{"v1", "v2", "v3"}));
  // Also when it is written.
  WriteText(Path("f"), "other content");
  AwaitCopies("f", 3);
  AwaitQuiet();
  Pxfs({"evict", Path("f")});
  AwaitCopies("f", 1);
  EXPECT_EQ(ReadText(Path("f")), "other content");
  EXPECT_EQ(Xattr("f", "user.pxfs.copies"), "1");
  AwaitQuiet();
}

TEST_P(WishesTest, APinIsAVolume) {
  WriteText(Path("f"), "content");
  const std::string here = *Volumes("f").begin();
  const std::string there = here == "v3" ? "v2" : "v3";
  Pxfs({"replicate", Path("f"), "--to", there, "--wait"});
  EXPECT_EQ(Volumes("f"), (Names{here, there}));
  EXPECT_EQ(Xattr("f", "user.pxfs.pin"), there);
  Pxfs({"unpin", Path("f")});
  AwaitCopies("f", 1);
  Pxfs({"replicate", Path("f"), "--copies", "2", "--wait"});
  Pxfs({"pin", Path("f")});
  Pxfs({"replicate", Path("f"), "--copies", "1"});
  AwaitQuiet();
  EXPECT_EQ(Volumes("f").size(), 2u) << "pinned to both";
  const Names both = Volumes("f");
  Pxfs({"unpin", Path("f"), "--from", *both.begin()});
  AwaitQuiet();
  EXPECT_TRUE(Volumes("f").contains(*both.rbegin()));
  Pxfs({"evict", Path("f")});
  AwaitCopies("f", 1);
}

TEST_P(WishesTest, WholeTrees) {
  stdfs::create_directories(Path("d/deep"));
  for (const char* name : {"d/a", "d/b", "d/deep/c"}) WriteText(Path(name), name);
  EXPECT_THAT(Refused({"replicate", Path("d"), "--copies", "2"}), HasSubstr("-r"));
  Pxfs({"replicate", Path("d"), "--copies", "2", "-r", "--wait"});
  for (const char* name : {"d/a", "d/b", "d/deep/c"}) EXPECT_EQ(Volumes(name).size(), 2u);
  Pxfs({"evict", Path("d"), "-r"});
  for (const char* name : {"d/a", "d/b", "d/deep/c"}) AwaitCopies(name, 1);
}

TEST_P(WishesTest, XattrsAskForTheSame) {
  stdfs::create_directory(Path("d"));
  WriteText(Path("d/f"), "content");
  ASSERT_EQ(SetXattr("d/f", "user.pxfs.copies", "2"), 0);
  AwaitCopies("d/f", 2);
  ASSERT_EQ(::removexattr(Path("d/f").c_str(), "user.pxfs.copies"), 0);
  AwaitCopies("d/f", 1);
  ASSERT_EQ(SetXattr("d/f", "user.pxfs.pin", "v1,v2"), 0);
  EXPECT_EQ(Xattr("d/f", "user.pxfs.pin"), "v1,v2");
  EXPECT_TRUE(Eventually([&] {
    const Names on = Volumes("d/f");
    return on.contains("v1") && on.contains("v2");
  }));
  ASSERT_EQ(SetXattr("d/f", "user.pxfs.pin", ""), 0);
  EXPECT_EQ(Xattr("d/f", "user.pxfs.pin"), "");
  AwaitCopies("d/f", 1);
  // On a directory they are its policy.
  ASSERT_EQ(SetXattr("d", "user.pxfs.copies", "2"), 0);
  EXPECT_THAT(Xattr("d", "user.pxfs.policy"), HasSubstr("copies=2"));
  AwaitCopies("d/f", 2);
  ASSERT_EQ(SetXattr("d", "user.pxfs.pin", "v2"), 0);
  EXPECT_THAT(Xattr("d", "user.pxfs.policy"), HasSubstr("pin=v2"));
  EXPECT_EQ(Xattr("d", "user.pxfs.pin"), "v2");
  for (const char* bad : {"x", "-1", "99"})
    EXPECT_EQ(SetXattr("d/f", "user.pxfs.copies", bad), EINVAL) << bad;
  EXPECT_EQ(SetXattr("d/f", "user.pxfs.pin", "nowhere"), EINVAL);
}

TEST_P(WishesTest, WhatCannotBeIsRefusedInOneLine) {
  WriteText(Path("f"), "content");
  EXPECT_THAT(Refused({"replicate", Path("f"), "--copies", "4"}), HasSubstr("only 3 volumes"));
  EXPECT_THAT(Refused({"replicate", Path("f"), "--to", "nowhere"}), HasSubstr("no such volume"));
  EXPECT_THAT(Refused({"replicate", Path("f")}), HasSubstr("--copies N or --to VOLUME"));
  EXPECT_THAT(Refused({"pin", Path("missing")}), HasSubstr("missing"));
  EXPECT_THAT(Refused({"copies", "set", "parallel=0"}), HasSubstr("from 1 to 8"));
  EXPECT_THAT(Refused({"copies", "set", "speed=1"}), HasSubstr("no such setting"));
}

}  // namespace
}  // namespace pxfs::test
