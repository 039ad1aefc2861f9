// The log of a daemon: spdlog behind log::debug, info, warn and error.
// Thread-safe. Lines go to standard error until InitLogging names a file.
#pragma once

#include <spdlog/spdlog.h>

#include <string>

#include "base/result.h"

namespace pxfs {

struct LogOptions {
  std::string file;            // empty: standard error
  std::string level = "info";  // trace, debug, info, warn, error, off
};

// kInvalid for an unknown level, or the error of opening the file.
Status InitLogging(const LogOptions& options);

// log::info("opened volume {}", name) and so on, with fmt's formatting.
namespace log {
using spdlog::debug;
using spdlog::error;
using spdlog::info;
using spdlog::warn;
}  // namespace log

}  // namespace pxfs
