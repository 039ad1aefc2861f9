// Hellos and frames over a stream socket.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
#include "rpc/frame.h"

namespace pxfs::rpc {

// A received frame. The views are valid until the next call on the stream.
struct Frame {
  FrameHeader header;
  std::string_view message;
  std::string_view payload;
};

// One connection. Sending and receiving block; errors are kUnavailable when the peer is gone and
// kCorruption when its bytes are not the protocol's; after an error the stream is of no more use.
// Not thread-safe, but Shutdown may be called beside anything.
class FrameStream {
 public:
  explicit FrameStream(UniqueFd socket);

  Status SendHello(const Hello& hello);
  Result<Hello> ReceiveHello();

  // Fills in the sizes of the header; one system call where the socket takes the whole frame.
  // kTooBig: the frame is above the protocol's limit; nothing was sent and the stream is still
  // good.
  Status Send(FrameHeader header, std::string_view message, std::string_view payload);
  // Nothing: the peer has closed the connection between two frames.
  Result<std::optional<Frame>> Receive(FrameKind expected, uint32_t max_body_bytes);

  int fd() const { return socket_.get(); }
  // Ends what is in progress on the other side of this socket: SHUT_RD, SHUT_WR or SHUT_RDWR.
  void Shutdown(int how) noexcept;

 private:
  // Makes `bytes` available at begin_, without trusting that they come. False: the stream ended
  // before the first of them.
  Result<bool> Fill(size_t bytes);
  void Reserve(size_t bytes);

  UniqueFd socket_;
  std::unique_ptr<char[]> buffer_;
  size_t capacity_ = 0;
  size_t begin_ = 0, end_ = 0;  // what was received and not consumed
};

}  // namespace pxfs::rpc
