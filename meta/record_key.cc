#include "meta/record_key.h"

#include <charconv>
#include <cstdio>

namespace pxfs::meta {
namespace {

constexpr size_t kDigits = 16;

}  // namespace

std::string KeyNumber(uint64_t number) {
  char text[kDigits + 1];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(number));
  return text;
}

bool TakeKeyNumber(std::string_view& key, uint64_t* number) {
  if (key.size() < kDigits) return false;
  const char* const end = key.data() + kDigits;
  const auto parsed = std::from_chars(key.data(), end, *number, 16);
  if (parsed.ec != std::errc() || parsed.ptr != end) return false;
  key.remove_prefix(kDigits);
  return true;
}

}  // namespace pxfs::meta
