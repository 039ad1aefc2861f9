#include "base/access_times.h"

#include <gtest/gtest.h>

namespace pxfs {
namespace {

using Rule = AccessTimes::Rule;

TEST(AccessTimes, AsTheMountTableShowsThem) {
  const auto of = [](const char* options) { return AccessTimes::FromMountOptions(options); };
  EXPECT_EQ(of("rw,nosuid,relatime"), (AccessTimes{Rule::kRelative, true}));
  EXPECT_EQ(of("rw,noatime"), (AccessTimes{Rule::kNever, true}));
  EXPECT_EQ(of("rw"), (AccessTimes{Rule::kAlways, true}));
  EXPECT_EQ(of(""), (AccessTimes{Rule::kAlways, true}));
  EXPECT_EQ(of("rw,nodiratime,relatime"), (AccessTimes{Rule::kRelative, false}));
  EXPECT_EQ(of("ro,relatime"), (AccessTimes{Rule::kNever, true}));
  EXPECT_EQ(of("relatime,ro"), (AccessTimes{Rule::kNever, true}));
}

}  // namespace
}  // namespace pxfs
