#include "base/quantities.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace pxfs {
namespace {

constexpr double kMostSeconds = 10.0 * 365 * 24 * 3600;  // ten years
constexpr double kMostCpus = 65536;

// Takes a number without sign from the front of `text`.
bool TakeNumber(std::string_view& text, double& number) {
  if (text.empty() || !(std::isdigit(static_cast<unsigned char>(text[0])) || text[0] == '.')) {
    return false;
  }
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

// "HH:MM:SS", "MM:SS", "D-HH:MM:SS".
bool ParseClock(std::string_view text, double& seconds) {
  double days = 0;
  if (const size_t dash = text.find('-'); dash != std::string_view::npos) {
    if (!TakeNumber(text, days) || text.empty() || text[0] != '-') return false;
    text.remove_prefix(1);
  }
  std::vector<double> parts;
  while (true) {
    double part = 0;
    if (!TakeNumber(text, part)) return false;
    parts.push_back(part);
    if (text.empty()) break;
    if (text[0] != ':' || parts.size() == 3) return false;
    text.remove_prefix(1);
  }
  if (parts.size() < 2) return false;
  seconds = 0;
  for (const double part : parts) seconds = seconds * 60 + part;
  seconds += days * 24 * 3600;
  return true;
}

bool ParseWithUnits(std::string_view text, double& seconds) {
  seconds = 0;
  while (!text.empty()) {
    double number = 0;
    if (!TakeNumber(text, number)) return false;
    const size_t unit_end = std::min(text.find_first_of("0123456789."), text.size());
    const std::string_view unit = text.substr(0, unit_end);
    text.remove_prefix(unit_end);
    if (unit == "ms") {
      seconds += number / 1000;
    } else if (unit == "s" || unit.empty()) {
      seconds += number;
    } else if (unit == "m" || unit == "min") {
      seconds += number * 60;
    } else if (unit == "h") {
      seconds += number * 3600;
    } else if (unit == "d") {
      seconds += number * 24 * 3600;
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace

Result<uint64_t> ParseSize(std::string_view text) {
  const std::string shown(text);
  double number = 0;
  if (!TakeNumber(text, number)) {
    return Fail(Code::kInvalid, "'" + shown + "' is not a size (such as 4096, 512M or 1.5G)");
  }
  double factor = 1;
  if (!text.empty()) {
    // Powers of 1024, from that of bytes itself.
    constexpr std::string_view kUnits = "bkmgtp";
    const size_t power =
        kUnits.find(static_cast<char>(std::tolower(static_cast<unsigned char>(text[0]))));
    const std::string_view rest = text.substr(1);
    const bool spelt = rest.empty() || (power > 0 && (rest == "B" || rest == "iB" || rest == "b"));
    if (power == std::string_view::npos || !spelt)
      return Fail(Code::kInvalid, "'" + shown + "' is not a size (such as 4096, 512M or 1.5G)");
    factor = std::ldexp(1.0, 10 * static_cast<int>(power));
  }
  const double bytes = std::floor(number * factor);
  if (bytes >= static_cast<double>(std::numeric_limits<int64_t>::max())) {
    return Fail(Code::kInvalid, "'" + shown + "' is too large a size");
  }
  return static_cast<uint64_t>(bytes);
}

Result<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  double seconds = 0;
  const bool clock = text.find(':') != std::string_view::npos;
  if (text.empty() || !(clock ? ParseClock(text, seconds) : ParseWithUnits(text, seconds))) {
    return Fail(Code::kInvalid, "'" + std::string(text) +
                                    "' is not a duration (such as 90s, 10m, 1h30m or 01:30:00)");
  }
  if (seconds > kMostSeconds) {
    return Fail(Code::kInvalid, "'" + std::string(text) + "' is more than ten years");
  }
  return std::chrono::milliseconds(std::llround(seconds * 1000));
}

Result<double> ParseCpus(std::string_view text) {
  std::string_view rest = text;
  double number = 0;
  if (!TakeNumber(rest, number) || !rest.empty() || number < 0.01 || number > kMostCpus) {
    return Fail(Code::kInvalid,
                "'" + std::string(text) + "' is not a number of CPUs (such as 2 or 0.5)");
  }
  return number;
}

}  // namespace pxfs
