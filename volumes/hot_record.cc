#include "volumes/hot_record.h"

#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/logging.h"

namespace pxfs::volumes {
namespace {

constexpr size_t kDigits = 16;

std::string Hex(uint64_t number) {
  char text[kDigits + 1];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(number));
  return text;
}

bool ParseHex(std::string_view text, uint64_t* number) {
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, *number, 16);
  return text.size() == kDigits && parsed.ec == std::errc() && parsed.ptr == end;
}

Result<std::vector<HotRecord>> Scan(meta::MetadataService& metadata, const std::string& prefix) {
  constexpr uint32_t kBatch = 1000;
  std::vector<HotRecord> found;
  std::string after;
  for (;;) {
    PXFS_ASSIGN(const auto records, metadata.ScanRecords(prefix, after, kBatch));
    for (const meta::Record& record : records) {
      // One that is damaged is a copy that nobody wants; it must not keep others from theirs.
      if (auto parsed = ParseHotRecord(record))
        found.push_back(std::move(*parsed));
      else
        log::warn("{}", parsed.error().message());
      after = record.key.substr(prefix.size());
    }
    if (records.size() < kBatch) return found;
  }
}

}  // namespace

std::string KeyOf(const HotRecord& record) {
  return std::string(kHotPrefix) + Hex(record.inode.value) + "/" + Hex(record.volume.value);
}

meta::RecordWrite ToWrite(const HotRecord& record) {
  return {KeyOf(record),
          nlohmann::json{{"since", record.since_seconds}, {"why", record.why}}.dump()};
}

Result<HotRecord> ParseHotRecord(const meta::Record& record) {
  const auto damaged = [&] {
    return Fail(Code::kCorruption, "not a record of a hot copy: " + record.key);
  };
  std::string_view key = record.key;
  if (key.size() != kHotPrefix.size() + 2 * kDigits + 1 || !key.starts_with(kHotPrefix))
    return damaged();
  key.remove_prefix(kHotPrefix.size());
  HotRecord parsed;
  if (!ParseHex(key.substr(0, kDigits), &parsed.inode.value) || key[kDigits] != '/' ||
      !ParseHex(key.substr(kDigits + 1), &parsed.volume.value))
    return damaged();
  const auto value = nlohmann::json::parse(record.value, nullptr, false);
  if (!value.is_object() || !value.contains("since") || !value["since"].is_number_integer() ||
      !value.contains("why") || !value["why"].is_string())
    return damaged();
  parsed.since_seconds = value["since"];
  parsed.why = value["why"];
  return parsed;
}

Result<std::vector<HotRecord>> HotRecordsOf(meta::MetadataService& metadata, InodeId inode) {
  return Scan(metadata, std::string(kHotPrefix) + Hex(inode.value) + "/");
}

Result<std::vector<HotRecord>> AllHotRecords(meta::MetadataService& metadata) {
  return Scan(metadata, std::string(kHotPrefix));
}

}  // namespace pxfs::volumes
