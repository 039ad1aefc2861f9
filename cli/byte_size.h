// Sizes as people write them.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace pxfs::cli {

// "4096", "10M", "1.5G", "2TiB": powers of 1024. kInvalid says how to write one.
Result<uint64_t> ParseByteSize(const std::string& text);

}  // namespace pxfs::cli
