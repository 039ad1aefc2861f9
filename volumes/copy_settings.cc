#include "volumes/copy_settings.h"

#include <charconv>

#include "base/logging.h"

namespace pxfs::volumes {
namespace {

constexpr uint32_t kBatch = 100;
constexpr uint64_t kLongestTime = 3660ull * 24 * 3600;  // seconds
constexpr uint64_t kFastest = 1ull << 50;

Result<uint64_t> ParseNumber(const Setting& setting, uint64_t least, uint64_t most) {
  uint64_t number = 0;
  const char* const end = setting.value.data() + setting.value.size();
  const auto parsed = std::from_chars(setting.value.data(), end, number);
  if (setting.value.empty() || parsed.ec != std::errc() || parsed.ptr != end || number < least ||
      number > most)
    return Fail(Code::kInvalid, setting.key + "=" + setting.value + ": want a number from " +
                                    std::to_string(least) + " to " + std::to_string(most));
  return number;
}

}  // namespace

std::vector<Setting> Describe(const CopySettings& settings) {
  return {{"grace", std::to_string(settings.grace.count())},
          {"rate", std::to_string(settings.rate)},
          {"parallel", std::to_string(settings.parallel)},
          {"commit-timeout", std::to_string(settings.commit_timeout.count())},
          {"scrub", std::to_string(settings.scrub.count())},
          {"scrub-rate", std::to_string(settings.scrub_rate)}};
}

Status Apply(CopySettings& settings, const Setting& setting) {
  if (setting.key == "grace") {
    PXFS_ASSIGN(const uint64_t seconds, ParseNumber(setting, 0, kLongestTime));
    settings.grace = std::chrono::seconds(seconds);
  } else if (setting.key == "rate") {
    PXFS_ASSIGN(settings.rate, ParseNumber(setting, 0, kFastest));
  } else if (setting.key == "parallel") {
    PXFS_ASSIGN(const uint64_t parallel, ParseNumber(setting, 1, CopySettings::kMaxParallel));
    settings.parallel = static_cast<uint32_t>(parallel);
  } else if (setting.key == "commit-timeout") {
    PXFS_ASSIGN(const uint64_t seconds, ParseNumber(setting, 1, kLongestTime));
    settings.commit_timeout = std::chrono::seconds(seconds);
  } else if (setting.key == "scrub") {
    PXFS_ASSIGN(const uint64_t seconds, ParseNumber(setting, 0, kLongestTime));
    settings.scrub = std::chrono::seconds(seconds);
  } else if (setting.key == "scrub-rate") {
    PXFS_ASSIGN(settings.scrub_rate, ParseNumber(setting, 0, kFastest));
  } else {
    return Fail(Code::kInvalid,
                setting.key +
                    ": no such setting; there are grace, rate, parallel, commit-timeout, "
                    "scrub and scrub-rate");
  }
  return {};
}

Result<CopySettings> ReadCopySettings(meta::MetadataService& metadata) {
  CopySettings settings;
  PXFS_ASSIGN(const auto records, metadata.ScanRecords(kSettingsPrefix, "", kBatch));
  for (const meta::Record& record : records) {
    const Status applied =
        Apply(settings, {record.key.substr(kSettingsPrefix.size()), record.value});
    if (!applied) log::debug("a setting of a newer pxfs? {}", applied.error().message());
  }
  return settings;
}

Status WriteCopySettings(meta::MetadataService& metadata, const CopySettings& settings) {
  std::vector<meta::RecordWrite> writes;
  for (const Setting& setting : Describe(settings))
    writes.push_back({std::string(kSettingsPrefix) + setting.key, setting.value});
  return metadata.WriteRecords(writes, /*sync=*/true);
}

}  // namespace pxfs::volumes
