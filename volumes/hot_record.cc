#include "volumes/hot_record.h"

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/logging.h"

namespace pxfs::volumes {
namespace {

Result<std::vector<HotRecord>> Scan(meta::MetadataService& metadata, const std::string& prefix) {
  std::vector<HotRecord> found;
  PXFS_TRY(meta::ForEachRecord(metadata, prefix, [&](const meta::Record& record) -> Status {
    // One that is damaged is a copy that nobody wants; it must not keep others from theirs.
    if (auto parsed = ParseHotRecord(record))
      found.push_back(std::move(*parsed));
    else
      log::warn("{}", parsed.error().message());
    return {};
  }));
  return found;
}

}  // namespace

std::string KeyOf(const HotRecord& record) {
  return std::string(kHotPrefix) + ToHex16(record.inode.value) + "/" + ToHex16(record.volume.value);
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
  if (!key.starts_with(kHotPrefix)) return damaged();
  key.remove_prefix(kHotPrefix.size());
  HotRecord parsed;
  if (!TakeHex16(key, &parsed.inode.value) || !key.starts_with('/')) return damaged();
  key.remove_prefix(1);
  if (!TakeHex16(key, &parsed.volume.value) || !key.empty()) return damaged();
  const auto value = nlohmann::json::parse(record.value, nullptr, false);
  if (!value.is_object() || !value.contains("since") || !value["since"].is_number_integer() ||
      !value.contains("why") || !value["why"].is_string())
    return damaged();
  parsed.since_seconds = value["since"];
  parsed.why = value["why"];
  return parsed;
}

Result<std::vector<HotRecord>> HotRecordsOf(meta::MetadataService& metadata, InodeId inode) {
  return Scan(metadata, std::string(kHotPrefix) + ToHex16(inode.value) + "/");
}

Result<std::vector<HotRecord>> AllHotRecords(meta::MetadataService& metadata) {
  return Scan(metadata, std::string(kHotPrefix));
}

}  // namespace pxfs::volumes
