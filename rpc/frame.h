// The bytes of the protocol: hello and frame headers. Pure functions; rpc/README.md is the
// specification.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace pxfs::rpc {

inline constexpr uint16_t kProtocolVersion = 1;
inline constexpr size_t kHelloBytes = 16;
inline constexpr size_t kFrameHeaderBytes = 24;
// The largest body (message and payload) of a frame; a request of a peer that is not trusted is
// bounded more tightly, since anybody can connect.
inline constexpr uint32_t kMaxBodyBytes = 64u << 20;
inline constexpr uint32_t kMaxUntrustedRequestBytes = 1u << 20;
// Longer messages are cut when they are sent.
inline constexpr uint32_t kMaxMessageBytes = 16u << 10;

// Both sides begin a connection with one; the server answers the client's.
struct Hello {
  uint16_t version = kProtocolVersion;
  uint16_t status = 0;  // of the server: 0, or the Code with which it refuses the connection
  uint64_t client = 0;  // of the client: the same on all connections of one client
};

enum class FrameKind : uint16_t { kRequest = 1, kReply = 2 };

struct FrameHeader {
  uint32_t body_bytes = 0;  // what follows the header: the message, then the payload
  FrameKind kind = FrameKind::kRequest;
  uint16_t service = 0;
  uint64_t request = 0;  // chosen by the client, repeated in the reply
  uint16_t method = 0;
  uint16_t status = 0;         // of a reply: 0, or the Code of the error
  uint32_t message_bytes = 0;  // of an error: the first part of the body
};

std::array<char, kHelloBytes> Encode(const Hello& hello);
std::array<char, kFrameHeaderBytes> Encode(const FrameHeader& header);

// kCorruption: not a hello of this protocol. A version other than ours is for the caller to judge.
Result<Hello> DecodeHello(std::string_view bytes);
// kCorruption: a wrong kind, a body above `max_body_bytes`, or a message longer than the body.
Result<FrameHeader> DecodeFrameHeader(std::string_view bytes, FrameKind expected,
                                      uint32_t max_body_bytes);

// The status of a frame for an error, and back; a code that this build does not know is kIo.
uint16_t StatusOf(Code code);
Code CodeOf(uint16_t status);

}  // namespace pxfs::rpc
