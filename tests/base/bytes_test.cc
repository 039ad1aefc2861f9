#include "base/bytes.h"

#include <gtest/gtest.h>

namespace pxfs {
namespace {

TEST(Bytes, BigEndianKeepsNumberOrder) {
  std::string previous;
  for (uint64_t value : {0ull, 1ull, 255ull, 256ull, 1ull << 32, ~0ull}) {
    std::string encoded;
    AppendBigEndian64(encoded, value);
    ASSERT_EQ(encoded.size(), 8u);
    EXPECT_EQ(ReadBigEndian64(encoded), value);
    EXPECT_LE(previous, encoded);
    previous = encoded;
  }
}

TEST(Bytes, HexRoundTripsAndRefusesNonsense) {
  for (uint64_t value : {0ull, 26ull, ~0ull}) EXPECT_EQ(*FromHex(ToHex(value)), value);
  for (const char* text : {"", "g", "1g", "0x1", " 1", "11111111111111111"})
    EXPECT_FALSE(FromHex(text)) << text;
}

TEST(Bytes, FormatsForPeople) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatBytes(~0ull), "16.0 EiB");
}

TEST(BytesTest, NumbersInSixteenDigits) {
  EXPECT_EQ(ToHex16(0), "0000000000000000");
  EXPECT_EQ(ToHex16(~uint64_t{0}), "ffffffffffffffff");
  std::string_view text = "00000000000000ff/rest";
  uint64_t value = 0;
  EXPECT_TRUE(TakeHex16(text, &value));
  EXPECT_EQ(value, 255u);
  EXPECT_EQ(text, "/rest");
  for (std::string_view bad :
       {"", "ff", "000000000000000", "00000000000000fg", "-00000000000000f"}) {
    const std::string_view before = bad;
    EXPECT_FALSE(TakeHex16(bad, &value)) << before;
    EXPECT_EQ(bad, before);
  }
}

}  // namespace
}  // namespace pxfs
