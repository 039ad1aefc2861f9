// JSON documents on disk: identity files and the like. Bounded and checked.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"

namespace pxfs {

// Parses `path`: kNotFound, kCorruption (with the parser's words) or the error of reading it.
Result<nlohmann::json> ReadJsonFile(const std::string& path);
// Replaces `path` atomically and durably.
Status WriteJsonFile(const std::string& path, const nlohmann::json& value, unsigned mode = 0644);

}  // namespace pxfs
