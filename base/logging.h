// The log of a process: lines with a time, a process, a level and a text formatted by fmt.
// Thread-safe. Lines go to standard error until InitLogging says otherwise.
//
// Only logging.cc knows the library behind it: its headers cost more than most files that log.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <string>

#include "base/result.h"

namespace pxfs {

struct LogOptions {
  std::string file;            // empty: standard error
  std::string level = "info";  // trace, debug, info, warn, error, off
  // Before each line in place of time, process and level, where lines are for people: "pxfs: ".
  std::string prefix = {};
};

// kInvalid for an unknown level, or the error of opening the file.
Status InitLogging(const LogOptions& options);

// What a process must do that ends by _exit.
void FlushLog();

// log::info("opened volume {}", name) and so on.
namespace log {

enum class Level : uint8_t { kDebug, kInfo, kWarn, kError };
bool IsOn(Level level);
void Write(Level level, fmt::string_view format, fmt::format_args arguments);

template <typename... Args>
void At(Level level, fmt::string_view format, const Args&... args) {
  if (IsOn(level)) Write(level, format, fmt::make_format_args(args...));
}

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  At(Level::kDebug, format, args...);
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  At(Level::kInfo, format, args...);
}
template <typename... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  At(Level::kWarn, format, args...);
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  At(Level::kError, format, args...);
}

}  // namespace log
}  // namespace pxfs
