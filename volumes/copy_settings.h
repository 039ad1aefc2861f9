// What people may set of copying and scrubbing for the whole cluster. Kept as records of the store
// ("settings/<key>"), read again every second or so by who copies.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "meta/service.h"

namespace pxfs::volumes {

inline constexpr std::string_view kSettingsPrefix = "settings/";

struct CopySettings {
  // How long a volume may be out of reach before what lies there is copied elsewhere.
  std::chrono::seconds grace{600};
  uint64_t rate = 0;      // bytes a second, all copying together; 0: no limit
  uint32_t parallel = 2;  // files that are copied at a time, 1 to kMaxParallel
  static constexpr uint32_t kMaxParallel = 8;
  // How long fsync and close wait for copies under the policy commit=close.
  std::chrono::seconds commit_timeout{60};
  // How often the background scrub reads each object (0: never), and how fast, in bytes a second
  // (0: no limit).
  std::chrono::seconds scrub{30 * 24 * 3600};
  uint64_t scrub_rate = 4 << 20;
};

struct Setting {
  std::string key, value;
};

// All of them, for people: "grace", "600".
std::vector<Setting> Describe(const CopySettings& settings);
// kInvalid names the key or value that cannot be.
Status Apply(CopySettings& settings, const Setting& setting);

// Blocks for a scan of the store. Records that make no sense are passed over.
Result<CopySettings> ReadCopySettings(meta::MetadataService& metadata);
Status WriteCopySettings(meta::MetadataService& metadata, const CopySettings& settings);

}  // namespace pxfs::volumes
