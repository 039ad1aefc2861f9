#include "rpc/frame_stream.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace pxfs::rpc {
namespace {

// Holds nearly every request and reply, so that one recv takes a whole frame.
constexpr size_t kInitialBuffer = 16 << 10;
// A buffer that grew beyond this for one large frame is given back afterwards.
constexpr size_t kKeptBuffer = 1 << 20;
// A large frame's buffer grows with what has come, not with what is announced: that is only a
// claim.
constexpr size_t kGrowth = 256 << 10;

Error GoneError(int error_number, std::string_view what) {
  if (error_number == EAGAIN)
    return Error(Code::kUnavailable, std::string(what) + ": the peer does not move");
  const Error error = ErrnoError(error_number, what);
  return Error(Code::kUnavailable, error.message());
}

Status SendVector(int fd, iovec* parts, int count) {
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = static_cast<size_t>(count);
  for (;;) {
    ssize_t sent = ::sendmsg(fd, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return Fail(GoneError(errno, "send"));
    while (message.msg_iovlen > 0 && static_cast<size_t>(sent) >= message.msg_iov->iov_len) {
      sent -= static_cast<ssize_t>(message.msg_iov->iov_len);
      ++message.msg_iov;
      --message.msg_iovlen;
    }
    if (message.msg_iovlen == 0) return {};
    message.msg_iov->iov_base = static_cast<char*>(message.msg_iov->iov_base) + sent;
    message.msg_iov->iov_len -= static_cast<size_t>(sent);
  }
}

iovec Part(std::string_view bytes) { return {const_cast<char*>(bytes.data()), bytes.size()}; }

}  // namespace

FrameStream::FrameStream(UniqueFd socket) : socket_(std::move(socket)) {}

Status FrameStream::SendHello(const Hello& hello) {
  const auto bytes = Encode(hello);
  iovec part = Part({bytes.data(), bytes.size()});
  return SendVector(fd(), &part, 1);
}

Result<Hello> FrameStream::ReceiveHello() {
  PXFS_ASSIGN(const bool there, Fill(kHelloBytes));
  if (!there) return Fail(Code::kUnavailable, "the peer closed the connection");
  auto hello = DecodeHello({buffer_.get() + begin_, kHelloBytes});
  begin_ += kHelloBytes;
  return hello;
}

Status FrameStream::Send(FrameHeader header, std::string_view message, std::string_view payload) {
  message = message.substr(0, kMaxMessageBytes);
  if (payload.size() > kMaxBodyBytes - message.size())
    return Fail(Code::kTooBig, "a message of " + std::to_string(payload.size()) +
                                   " bytes; at most " + std::to_string(kMaxBodyBytes) +
                                   " are allowed");
  header.message_bytes = static_cast<uint32_t>(message.size());
  header.body_bytes = static_cast<uint32_t>(message.size() + payload.size());
  const auto bytes = Encode(header);
  iovec parts[] = {Part({bytes.data(), bytes.size()}), Part(message), Part(payload)};
  return SendVector(fd(), parts, 3);
}

Result<std::optional<Frame>> FrameStream::Receive(FrameKind expected, uint32_t max_body_bytes) {
  if (begin_ == end_ && capacity_ > kKeptBuffer) {
    buffer_.reset();
    capacity_ = 0;
  }
  PXFS_ASSIGN(const bool there, Fill(kFrameHeaderBytes));
  if (!there) return std::optional<Frame>();
  PXFS_ASSIGN(
      const FrameHeader header,
      DecodeFrameHeader({buffer_.get() + begin_, kFrameHeaderBytes}, expected, max_body_bytes));
  begin_ += kFrameHeaderBytes;
  PXFS_ASSIGN(const bool complete, Fill(header.body_bytes));
  if (!complete) return Fail(Code::kUnavailable, "the peer closed the connection within a frame");
  const std::string_view body(buffer_.get() + begin_, header.body_bytes);
  begin_ += header.body_bytes;
  return Frame{header, body.substr(0, header.message_bytes), body.substr(header.message_bytes)};
}

void FrameStream::Shutdown(int how) noexcept { ::shutdown(fd(), how); }

Result<bool> FrameStream::Fill(size_t bytes) {
  if (begin_ == end_) begin_ = end_ = 0;
  while (end_ - begin_ < bytes) {
    const size_t held = end_ - begin_;
    Reserve(std::min(bytes, std::max(kInitialBuffer, 2 * held + kGrowth)));
    const ssize_t n = ::recv(fd(), buffer_.get() + end_, capacity_ - end_, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Fail(GoneError(errno, "receive"));
    if (n == 0) {
      if (begin_ == end_) return false;
      return Fail(Code::kUnavailable, "the peer closed the connection within a frame");
    }
    end_ += static_cast<size_t>(n);
  }
  return true;
}

// Room for `bytes` from begin_ on; more than what is there already.
void FrameStream::Reserve(size_t bytes) {
  if (capacity_ - begin_ >= bytes) return;
  const size_t held = end_ - begin_;
  if (capacity_ >= bytes) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, held);
  } else {
    const size_t capacity = std::max(kInitialBuffer, bytes);
    auto larger = std::make_unique_for_overwrite<char[]>(capacity);
    if (held > 0) std::memcpy(larger.get(), buffer_.get() + begin_, held);
    buffer_ = std::move(larger);
    capacity_ = capacity;
  }
  begin_ = 0;
  end_ = held;
}

}  // namespace pxfs::rpc
