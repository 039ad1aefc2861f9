#include "base/logging.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace pxfs {

Status InitLogging(const LogOptions& options) {
  const auto level = spdlog::level::from_str(options.level);
  if (level == spdlog::level::off && options.level != "off")
    return Fail(Code::kInvalid, "log level '" + options.level + "': use trace, debug, info, warn, error or off");
  try {
    auto logger = options.file.empty()
                      ? std::make_shared<spdlog::logger>("pxfs", std::make_shared<spdlog::sinks::stderr_sink_mt>())
                      : std::make_shared<spdlog::logger>(
                            "pxfs", std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file));
    logger->set_level(level);
    logger->flush_on(spdlog::level::info);
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %P %L %v");
    spdlog::set_default_logger(std::move(logger));
  } catch (const spdlog::spdlog_ex& e) {
    return Fail(Code::kIo, "log file " + options.file + ": " + e.what());
  }
  return {};
}

}  // namespace pxfs
