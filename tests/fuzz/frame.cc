// The first bytes of a connection and of each frame.
#include "rpc/frame.h"

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pxfs;
  const std::string_view input = fuzz::View(data, size);
  if (input.size() >= rpc::kHelloBytes) {
    const auto bytes = input.substr(0, rpc::kHelloBytes);
    if (const auto hello = rpc::DecodeHello(bytes)) {
      const auto again = rpc::Encode(*hello);
      const auto decoded = rpc::DecodeHello({again.data(), again.size()});
      fuzz::Require(decoded && decoded->client == hello->client, "a hello is read as written");
    }
  }
  if (input.size() < rpc::kFrameHeaderBytes) return 0;
  const auto bytes = input.substr(0, rpc::kFrameHeaderBytes);
  for (const auto kind : {rpc::FrameKind::kRequest, rpc::FrameKind::kReply}) {
    const auto header = rpc::DecodeFrameHeader(bytes, kind, rpc::kMaxUntrustedRequestBytes);
    if (!header) continue;
    fuzz::Require(header->body_bytes <= rpc::kMaxUntrustedRequestBytes, "a body is bounded");
    fuzz::Require(header->message_bytes <= header->body_bytes, "a message is within the body");
    const auto again = rpc::Encode(*header);
    fuzz::Require(bool(rpc::DecodeFrameHeader({again.data(), again.size()}, kind,
                                              rpc::kMaxUntrustedRequestBytes)),
                  "a header is read as written");
    (void)rpc::CodeOf(header->status);
  }
  return 0;
}
