#include "cli/byte_size.h"

#include <cmath>
#include <cstdlib>

namespace pxfs::cli {

Result<uint64_t> ParseByteSize(const std::string& text) {
  const auto refuse = [&] {
    return Fail(Code::kInvalid, "'" + text + "': a size is written like 4096, 10M or 1.5G");
  };
  if (text.empty() || text[0] < '0' || text[0] > '9') return refuse();
  char* end = nullptr;
  double value = std::strtod(text.c_str(), &end);
  std::string unit = end;
  if (unit.ends_with("iB")) {
    unit.resize(unit.size() - 2);
    if (unit.empty()) return refuse();
  } else if (unit.ends_with("B")) {
    unit.pop_back();
  }
  if (unit.size() > 1) return refuse();
  if (!unit.empty()) {
    const size_t power = std::string("KMGTP").find(static_cast<char>(unit[0] & ~0x20));
    if (power == std::string::npos) return refuse();
    value = std::ldexp(value, 10 * (static_cast<int>(power) + 1));
  }
  if (!(value < 9.2e18)) return refuse();
  return static_cast<uint64_t>(value);
}

}  // namespace pxfs::cli
