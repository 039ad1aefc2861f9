#include "rpc/frame.h"

#include <cstring>

namespace pxfs::rpc {
namespace {

constexpr std::string_view kMagic = "PXRP";

// Codes travel as their numbers, so these must stay: new ones go to the end of the enum.
static_assert(static_cast<int>(Code::kNotFound) == 1 && static_cast<int>(Code::kConflict) == 33);

// A cursor over a buffer whose size the caller has checked.
class Writer {
 public:
  explicit Writer(char* out) : out_(out) {}
  template <typename T>
  void Put(T value) {
    for (int shift = 8 * (static_cast<int>(sizeof(T)) - 1); shift >= 0; shift -= 8)
      *out_++ = static_cast<char>(value >> shift);
  }

 private:
  char* out_;
};

class Reader {
 public:
  explicit Reader(const char* in) : in_(in) {}
  template <typename T>
  T Get() {
    uint64_t value = 0;
    for (size_t i = 0; i < sizeof(T); ++i) value = value << 8 | static_cast<unsigned char>(*in_++);
    return static_cast<T>(value);
  }

 private:
  const char* in_;
};

}  // namespace

std::array<char, kHelloBytes> Encode(const Hello& hello) {
  std::array<char, kHelloBytes> bytes;
  std::memcpy(bytes.data(), kMagic.data(), kMagic.size());
  Writer writer(bytes.data() + kMagic.size());
  writer.Put(hello.version);
  writer.Put(hello.status);
  writer.Put(hello.client);
  return bytes;
}

std::array<char, kFrameHeaderBytes> Encode(const FrameHeader& header) {
  std::array<char, kFrameHeaderBytes> bytes;
  Writer writer(bytes.data());
  writer.Put(header.body_bytes);
  writer.Put(static_cast<uint16_t>(header.kind));
  writer.Put(header.service);
  writer.Put(header.request);
  writer.Put(header.method);
  writer.Put(header.status);
  writer.Put(header.message_bytes);
  return bytes;
}

Result<Hello> DecodeHello(std::string_view bytes) {
  if (bytes.size() != kHelloBytes || !bytes.starts_with(kMagic))
    return Fail(Code::kCorruption, "the peer does not speak the pxfs protocol");
  Reader reader(bytes.data() + kMagic.size());
  Hello hello;
  hello.version = reader.Get<uint16_t>();
  hello.status = reader.Get<uint16_t>();
  hello.client = reader.Get<uint64_t>();
  return hello;
}

Result<FrameHeader> DecodeFrameHeader(std::string_view bytes, FrameKind expected,
                                      uint32_t max_body_bytes) {
  if (bytes.size() != kFrameHeaderBytes) return Fail(Code::kCorruption, "truncated frame header");
  Reader reader(bytes.data());
  FrameHeader header;
  header.body_bytes = reader.Get<uint32_t>();
  const auto kind = reader.Get<uint16_t>();
  header.service = reader.Get<uint16_t>();
  header.request = reader.Get<uint64_t>();
  header.method = reader.Get<uint16_t>();
  header.status = reader.Get<uint16_t>();
  header.message_bytes = reader.Get<uint32_t>();
  if (kind != static_cast<uint16_t>(expected))
    return Fail(Code::kCorruption, "frame of unexpected kind " + std::to_string(kind));
  header.kind = expected;
  if (header.body_bytes > max_body_bytes)
    return Fail(Code::kCorruption, "frame of " + std::to_string(header.body_bytes) +
                                       " bytes; at most " + std::to_string(max_body_bytes) +
                                       " are allowed");
  if (header.message_bytes > header.body_bytes)
    return Fail(Code::kCorruption, "frame with a message longer than its body");
  return header;
}

uint16_t StatusOf(Code code) { return static_cast<uint16_t>(code); }

Code CodeOf(uint16_t status) {
  if (status == 0 || status > StatusOf(Code::kConflict)) return Code::kIo;
  return static_cast<Code>(status);
}

}  // namespace pxfs::rpc
