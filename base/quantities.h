// Quantities as people type them: sizes, durations, CPUs.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace pxfs {

// Bytes: "512", "64k", "1.5G", "2GiB": powers of 1024. kInvalid names the text.
Result<uint64_t> ParseSize(std::string_view text);

// "90" and "90s" are seconds; "500ms", "10m", "2h", "1d", "1h30m"; "HH:MM:SS" and "D-HH:MM:SS" as
// in sbatch. Above 0. kInvalid names the text.
Result<std::chrono::milliseconds> ParseDuration(std::string_view text);

// A number above 0, such as "2" or "0.5". kInvalid names the text.
Result<double> ParseCpus(std::string_view text);

}  // namespace pxfs
