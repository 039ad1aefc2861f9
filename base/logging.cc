#include "base/logging.h"

#include <fmt/format.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace pxfs {
namespace {

spdlog::level::level_enum Of(log::Level level) {
  switch (level) {
    case log::Level::kDebug:
      return spdlog::level::debug;
    case log::Level::kInfo:
      return spdlog::level::info;
    case log::Level::kWarn:
      return spdlog::level::warn;
    case log::Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

// Of spdlog's patterns: % is doubled there.
std::string Pattern(const std::string& prefix) {
  if (prefix.empty()) return "%Y-%m-%dT%H:%M:%S.%e%z %P %L %v";
  std::string pattern;
  for (const char c : prefix) pattern += c == '%' ? std::string("%%") : std::string(1, c);
  return pattern + "%v";
}

}  // namespace

Status InitLogging(const LogOptions& options) {
  const auto level = spdlog::level::from_str(options.level);
  if (level == spdlog::level::off && options.level != "off")
    return Fail(Code::kInvalid,
                "log level '" + options.level + "': use trace, debug, info, warn, error or off");
  try {
    auto logger =
        options.file.empty()
            ? std::make_shared<spdlog::logger>("pxfs",
                                               std::make_shared<spdlog::sinks::stderr_sink_mt>())
            : std::make_shared<spdlog::logger>(
                  "pxfs", std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file));
    logger->set_level(level);
    logger->flush_on(spdlog::level::info);
    logger->set_pattern(Pattern(options.prefix));
    spdlog::set_default_logger(std::move(logger));
  } catch (const spdlog::spdlog_ex& e) {
    return Fail(Code::kIo, "log file " + options.file + ": " + e.what());
  }
  return {};
}

void FlushLog() { spdlog::default_logger()->flush(); }

namespace log {

bool IsOn(Level level) { return spdlog::default_logger_raw()->should_log(Of(level)); }

void Write(Level level, fmt::string_view format, fmt::format_args arguments) {
  fmt::memory_buffer line;
  fmt::vformat_to(fmt::appender(line), format, arguments);
  spdlog::default_logger_raw()->log(Of(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace log
}  // namespace pxfs
