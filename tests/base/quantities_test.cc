#include "base/quantities.h"

#include <gtest/gtest.h>

namespace pxfs {
namespace {

using std::chrono::milliseconds;

TEST(ParseSize, PowersOf1024) {
  EXPECT_EQ(ParseSize("0"), 0u);
  EXPECT_EQ(ParseSize("4096"), 4096u);
  EXPECT_EQ(ParseSize("64k"), 64u << 10);
  EXPECT_EQ(ParseSize("10M"), 10u << 20);
  EXPECT_EQ(ParseSize("1.5G"), 3ull << 29);
  EXPECT_EQ(ParseSize("2TiB"), 2ull << 40);
  EXPECT_EQ(ParseSize("1PB"), 1ull << 50);
  EXPECT_EQ(ParseSize("7b"), 7u);
}

TEST(ParseSize, RefusesWhatIsNone) {
  for (const char* text : {"", "k", "-1", "+1", "1X", "1kk", "1 k", "1Mi", "1BB", "1biB", "0x10",
                           "1e3", "inf", "nan", "9000P", "99999999999999999999"}) {
    const auto size = ParseSize(text);
    ASSERT_FALSE(size) << text;
    EXPECT_EQ(size.error().code(), Code::kInvalid) << text;
    EXPECT_NE(size.error().message().find("'" + std::string(text) + "'"), std::string::npos);
  }
}

TEST(ParseDuration, UnitsAndClocks) {
  EXPECT_EQ(ParseDuration("0"), milliseconds(0));
  EXPECT_EQ(ParseDuration("90"), milliseconds(90'000));
  EXPECT_EQ(ParseDuration("500ms"), milliseconds(500));
  EXPECT_EQ(ParseDuration("1h30m"), milliseconds(5'400'000));
  EXPECT_EQ(ParseDuration("1d"), milliseconds(86'400'000));
  EXPECT_EQ(ParseDuration("01:30"), milliseconds(90'000));
  EXPECT_EQ(ParseDuration("1-02:00:00"), milliseconds(93'600'000));
}

TEST(ParseDuration, RefusesWhatIsNone) {
  for (const char* text :
       {"", "s", "-1s", "1w", "10 m", "1:2:3:4", "1:", ":30", "1-", "11y", "4000d", "1h-30m"}) {
    const auto time = ParseDuration(text);
    ASSERT_FALSE(time) << text;
    EXPECT_EQ(time.error().code(), Code::kInvalid) << text;
  }
}

TEST(ParseCpus, AreMoreThanNothing) {
  EXPECT_EQ(ParseCpus("2"), 2.0);
  EXPECT_EQ(ParseCpus("0.5"), 0.5);
  for (const char* text : {"", "0", "-1", "1c", "two", "1e9"})
    EXPECT_FALSE(ParseCpus(text)) << text;
}

}  // namespace
}  // namespace pxfs
