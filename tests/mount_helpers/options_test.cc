#include "mount_helpers/options.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

namespace pxfs::mount_helpers {
namespace {

TEST(MountOptions, AsMountPassesThem) {
  auto options =
      ParseArguments({"/srv/data", "/mnt", "-o", "rw,nosuid,noatime,_netdev,x-systemd.automount"});
  ASSERT_TRUE(options) << options.error().message();
  EXPECT_EQ(options->source, "/srv/data");
  EXPECT_EQ(options->mountpoint, "/mnt");
  EXPECT_EQ(options->flags, static_cast<unsigned long>(MS_NOSUID | MS_NOATIME));
}

TEST(MountOptions, TheLastOfOppositesCounts) {
  EXPECT_EQ(ParseArguments({"a", "b", "-o", "ro,rw"})->flags, 0u);
  EXPECT_EQ(ParseArguments({"a", "b", "-o", "rw", "-o", "ro"})->flags,
            static_cast<unsigned long>(MS_RDONLY));
  EXPECT_EQ(ParseArguments({"a", "b", "-o", "noatime,strictatime"})->flags,
            static_cast<unsigned long>(MS_STRICTATIME));
}

TEST(MountOptions, BothSpellingsOfNames) {
  EXPECT_EQ(ParseArguments({"a", "b", "-o", "attribute-timeout=2.5"})->attr_timeout_seconds, 2.5);
  EXPECT_EQ(ParseArguments({"a", "b", "-o", "attr_timeout=2.5"})->attr_timeout_seconds, 2.5);
  EXPECT_EQ(ParseArguments({"a", "b", "-opassthrough=off,negative-timeout=0"})->passthrough,
            Passthrough::kOff);
  EXPECT_EQ(ParseArguments({"a", "b", "-o", "max-inodes=20000"})->max_inodes, 20000u);
  EXPECT_EQ(ParseArguments({"a", "b", "-o", "max-open=16"})->max_open, 16u);
  EXPECT_EQ(ParseArguments({"a", "b", "-o", "hot-cool-down=5"})->hot_cool_down_seconds, 5);
}

TEST(MountOptions, ARemountMayRepeatWhatTheMountTableShows) {
  EXPECT_TRUE(ParseArguments({"a", "b", "-o", "rw,user_id=0,group_id=0,remount,ro"}));
  EXPECT_FALSE(ParseArguments({"a", "b", "-o", "rw,user_id=0"}));
}

TEST(MountOptions, WhatFusermountIsTold) {
  const auto words = FusermountOptions(
      *ParseArguments({"/a,b\\c", "m", "-o", "ro,nosuid,relatime,noatime,allow_other=off"}));
  ASSERT_TRUE(words) << words.error().message();
  EXPECT_EQ(*words, "subtype=pxfs,ro,noatime,nosuid,default_permissions,fsname=/a\\,b\\\\c");
  for (const char* root_only : {"strictatime", "lazytime"}) {
    const auto refused = FusermountOptions(*ParseArguments({"a", "b", "-o", root_only}));
    ASSERT_FALSE(refused) << root_only;
    EXPECT_EQ(refused.error(), Code::kNotPermitted);
    EXPECT_NE(refused.error().message().find(root_only), std::string::npos);
  }
}

TEST(MountOptions, WhoRootIsSquashedTo) {
  EXPECT_FALSE(ParseArguments({"a", "b"})->root_squash);
  EXPECT_FALSE(ParseArguments({"a", "b", "-o", "root_squash,no_root_squash"})->root_squash);
  const auto by_default = ParseArguments({"a", "b", "-o", "root_squash"});
  ASSERT_TRUE(by_default) << by_default.error().message();
  EXPECT_TRUE(by_default->root_squash);
  EXPECT_FALSE(by_default->anonymous_uid);
  const auto numbers = ParseArguments({"a", "b", "-o", "anonuid=1234,root-squash,anongid=99"});
  ASSERT_TRUE(numbers) << numbers.error().message();
  EXPECT_EQ(numbers->anonymous_uid, 1234u);
  EXPECT_EQ(numbers->anonymous_gid, 99u);
  const auto names = ParseArguments({"a", "b", "-o", "root_squash,anonuid=nobody,anongid=nogroup"});
  ASSERT_TRUE(names) << names.error().message();
  EXPECT_EQ(names->anonymous_uid, 65534u);
  EXPECT_EQ(names->anonymous_gid, 65534u);
}

TEST(MountOptions, WhatIsWrongIsNamed) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"colour=red", "colour=red"},
      {"roo", "roo"},
      {"attr_timeout=soon", "attr_timeout=soon"},
      {"attr_timeout=-1", "-1"},
      {"passthrough=maybe", "maybe"},
      {"subdir=", "subdir"},
      {"max_inodes=999", "max_inodes=999"},
      {"max_inodes=many", "many"},
      {"max_inodes=10k", "10k"},
      {"max_open=15", "max_open=15"},
      {"max_open=1048577", "1048577"},
      {"max_open=-1", "-1"},
      {"max_open=", "max_open"},
      {"hot_cool_down=never", "never"},
      {"anonuid=1000", "root_squash"},
      {"anongid=1000", "root_squash"},
      {"root_squash,anonuid=no-such-user", "no-such-user"},
      {"root_squash,anonuid=0", "anonuid=0"},
      {"root_squash,anonuid=root", "anonuid=root"},
      {"root_squash,anonuid=", "anonuid"},
      {"root_squash,anongid=4294967295", "4294967295"},
      {"root_squash=yes", "root_squash=yes"},
      {"root_squash,default_permissions=off", "default_permissions=off"},
      {"locks=cluster", "locks=cluster"},
      {"allow_other=2", "allow_other=2"}};
  for (const auto& [option, named] : cases) {
    auto options = ParseArguments({"a", "b", "-o", option});
    ASSERT_FALSE(options) << option;
    EXPECT_EQ(options.error(), Code::kInvalid);
    EXPECT_NE(options.error().message().find(named), std::string::npos)
        << options.error().message();
  }
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{},
                                                    {"a"},
                                                    {"a", "b", "c"},
                                                    {"a", "b", "--what"},
                                                    {"a", "b", "-o"}}) {
    EXPECT_FALSE(ParseArguments(arguments));
  }
}

}  // namespace
}  // namespace pxfs::mount_helpers
