#include "base/bytes.h"

#include <charconv>
#include <cstdio>

#include "base/unique_fd.h"

namespace pxfs {

void AppendBigEndian64(std::string& out, uint64_t value) {
  char bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(value >> (56 - 8 * i));
  out.append(bytes, sizeof bytes);
}

uint64_t ReadBigEndian64(std::string_view in) {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | static_cast<unsigned char>(in[i]);
  return value;
}

std::string ToHex(uint64_t value) {
  char text[16];
  auto end = std::to_chars(text, text + sizeof text, value, 16).ptr;
  return std::string(text, end);
}

Result<uint64_t> FromHex(std::string_view text) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size() || text.size() > 16)
    return Fail(Code::kInvalid, "not a hexadecimal number: " + std::string(text));
  return value;
}

std::string ToHex16(uint64_t value) {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(value));
  return digits;
}

bool TakeHex16(std::string_view& text, uint64_t* value) {
  constexpr size_t kDigits = 16;
  if (text.size() < kDigits) return false;
  const char* const end = text.data() + kDigits;
  const auto parsed = std::from_chars(text.data(), end, *value, 16);
  if (parsed.ec != std::errc() || parsed.ptr != end) return false;
  text.remove_prefix(kDigits);
  return true;
}

std::string NewUuid() {
  auto text = ReadFile("/proc/sys/kernel/random/uuid");
  if (!text || text->size() < 36) return {};
  return text->substr(0, 36);
}

std::string FormatBytes(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes);
  int unit = 0;
  while (value >= 1024 && unit < 6) value /= 1024, ++unit;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text;
}

}  // namespace pxfs
