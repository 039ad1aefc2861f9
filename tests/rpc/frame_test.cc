#include "rpc/frame.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <random>
#include <thread>

#include "rpc/frame_stream.h"

namespace pxfs::rpc {
namespace {

template <size_t N>
std::string_view View(const std::array<char, N>& bytes) {
  return {bytes.data(), bytes.size()};
}

TEST(Frame, HelloIsTheseBytes) {
  Hello hello;
  hello.version = 0x0102;
  hello.status = 0x0304;
  hello.client = 0x1112131415161718;
  const auto bytes = Encode(hello);
  EXPECT_EQ(View(bytes), std::string("PXRP\x01\x02\x03\x04\x11\x12\x13\x14\x15\x16\x17\x18"));
  const auto decoded = DecodeHello(View(bytes));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->version, hello.version);
  EXPECT_EQ(decoded->status, hello.status);
  EXPECT_EQ(decoded->client, hello.client);
}

TEST(Frame, HeaderIsTheseBytes) {
  FrameHeader header;
  header.body_bytes = 0x00A1A2A3;
  header.kind = FrameKind::kReply;
  header.service = 0x0102;
  header.request = 0x1112131415161718;
  header.method = 0x2122;
  header.status = 0x3132;
  header.message_bytes = 0x00010203;
  const auto bytes = Encode(header);
  EXPECT_EQ(View(bytes),
            std::string("\x00\xA1\xA2\xA3\x00\x02\x01\x02\x11\x12\x13\x14\x15\x16\x17\x18"
                        "\x21\x22\x31\x32\x00\x01\x02\x03",
                        kFrameHeaderBytes));
  const auto decoded = DecodeFrameHeader(View(bytes), FrameKind::kReply, kMaxBodyBytes);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(Encode(*decoded), bytes);
}

TEST(Frame, RefusesWhatIsNotTheProtocol) {
  auto hello = Encode(Hello{});
  EXPECT_EQ(DecodeHello(View(hello).substr(1)).error().code(), Code::kCorruption);
  hello[0] = 'G';
  EXPECT_EQ(DecodeHello(View(hello)).error().code(), Code::kCorruption);

  FrameHeader header;
  header.body_bytes = 100;
  header.message_bytes = 100;
  EXPECT_TRUE(DecodeFrameHeader(View(Encode(header)), FrameKind::kRequest, 100));
  EXPECT_FALSE(DecodeFrameHeader(View(Encode(header)), FrameKind::kReply, 100));
  EXPECT_FALSE(DecodeFrameHeader(View(Encode(header)), FrameKind::kRequest, 99));
  EXPECT_FALSE(DecodeFrameHeader(View(Encode(header)).substr(1), FrameKind::kRequest, 100));
  header.message_bytes = 101;
  EXPECT_FALSE(DecodeFrameHeader(View(Encode(header)), FrameKind::kRequest, 100));
}

TEST(Frame, EveryCodeTravelsAndUnknownOnesAreIo) {
  for (uint16_t status = 1; status <= StatusOf(Code::kConflict); ++status)
    EXPECT_EQ(StatusOf(CodeOf(status)), status);
  EXPECT_EQ(CodeOf(0), Code::kIo);
  EXPECT_EQ(CodeOf(StatusOf(Code::kConflict) + 1), Code::kIo);
  EXPECT_EQ(CodeOf(0xFFFF), Code::kIo);
}

// A stream on one end of a socket pair; the test writes into the other.
class FrameStreamTest : public testing::Test {
 protected:
  FrameStreamTest() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    stream_ = std::make_unique<FrameStream>(UniqueFd(ends[0]));
    other_ = UniqueFd(ends[1]);
  }
  // What the stream makes of exactly these bytes.
  Result<std::optional<Frame>> Receive(std::string_view bytes) {
    std::thread writer([this, bytes] {
      EXPECT_TRUE(WriteAll(other_.get(), bytes));
      ::shutdown(other_.get(), SHUT_WR);
    });
    auto frame = stream_->Receive(FrameKind::kRequest, 4 << 20);
    if (!frame) stream_->Shutdown(SHUT_RD);  // lets the writer go on
    writer.join();
    return frame;
  }
  static std::string Bytes(const FrameHeader& header, std::string_view body) {
    return std::string(View(Encode(header))).append(body);
  }

  std::unique_ptr<FrameStream> stream_;
  UniqueFd other_;
};

TEST_F(FrameStreamTest, EndsBetweenFrames) {
  const auto frame = Receive("");
  ASSERT_TRUE(frame);
  EXPECT_FALSE(frame->has_value());
}

TEST_F(FrameStreamTest, EveryTruncationIsAnError) {
  FrameHeader header;
  header.body_bytes = 5;
  header.message_bytes = 2;
  const std::string whole = Bytes(header, "abcde");
  for (size_t size = 1; size <= whole.size(); ++size) {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    stream_ = std::make_unique<FrameStream>(UniqueFd(ends[0]));
    other_ = UniqueFd(ends[1]);
    const auto frame = Receive(std::string_view(whole).substr(0, size));
    if (size < whole.size()) {
      ASSERT_FALSE(frame) << size;
      EXPECT_EQ(frame.error().code(), Code::kUnavailable);
    } else {
      ASSERT_TRUE(frame && *frame);
      EXPECT_EQ((*frame)->message, "ab");
      EXPECT_EQ((*frame)->payload, "cde");
    }
  }
}

TEST_F(FrameStreamTest, ManyFramesOfAllSizesInOneStream) {
  const std::vector<size_t> sizes = {0, 1, 100, 16360, 16384, 17000, 0, 300'000, 3, 2'000'000, 7};
  std::thread writer([&] {
    FrameStream sender{UniqueFd(::dup(other_.get()))};
    for (size_t i = 0; i < sizes.size(); ++i) {
      FrameHeader header;
      header.request = i;
      EXPECT_TRUE(
          sender.Send(header, "message", std::string(sizes[i], static_cast<char>('a' + i))));
    }
    ::shutdown(other_.get(), SHUT_WR);
  });
  for (size_t i = 0; i < sizes.size(); ++i) {
    const auto frame = stream_->Receive(FrameKind::kRequest, kMaxBodyBytes);
    ASSERT_TRUE(frame && *frame) << i;
    EXPECT_EQ((*frame)->header.request, i);
    EXPECT_EQ((*frame)->message, "message");
    EXPECT_EQ((*frame)->payload, std::string(sizes[i], static_cast<char>('a' + i)));
  }
  const auto end = stream_->Receive(FrameKind::kRequest, kMaxBodyBytes);
  EXPECT_TRUE(end && !*end);
  writer.join();
}

TEST_F(FrameStreamTest, AFrameThatIsTooLargeIsNotSent) {
  const std::string payload(kMaxBodyBytes + 1, 'x');
  EXPECT_EQ(stream_->Send({}, {}, payload).error().code(), Code::kTooBig);
}

// Whatever comes, the decoder answers with a frame, an end or an error.
TEST_F(FrameStreamTest, RandomBytesNeverHurt) {
  std::mt19937_64 random(20240601);
  for (int round = 0; round < 2000; ++round) {
    FrameHeader header;
    header.body_bytes = static_cast<uint32_t>(random() % 64);
    header.message_bytes = static_cast<uint32_t>(random() % 64);
    std::string bytes = Bytes(header, std::string(random() % 64, 'b'));
    for (auto flips = random() % 4; flips > 0; --flips)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    FrameStream stream{UniqueFd(ends[0])};
    UniqueFd other(ends[1]);
    ASSERT_TRUE(WriteAll(other.get(), bytes));
    other.reset();
    for (;;) {
      const auto frame = stream.Receive(FrameKind::kRequest, 4096);
      if (!frame || !*frame) break;
      EXPECT_LE((*frame)->message.size() + (*frame)->payload.size(), 4096u);
    }
  }
}

}  // namespace
}  // namespace pxfs::rpc
