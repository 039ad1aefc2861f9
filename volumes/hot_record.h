// Which copies there are, or shall be, because a file is wanted: records of the store
// (docs/formats.md), one a copy. HotCopies writes them; whoever settles a file's copies
// (volumes/replicator.h), or explains them to people, reads them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "meta/service.h"

namespace pxfs::volumes {

struct HotRecord {
  InodeId inode;
  VolumeId volume;
  int64_t since_seconds = 0;  // Unix time
  std::string why;            // for people
};

inline constexpr std::string_view kHotPrefix = "hot/";

// "hot/<inode>/<volume>", the numbers in 16 hexadecimal digits.
std::string KeyOf(const HotRecord& record);
meta::RecordWrite ToWrite(const HotRecord& record);
// kCorruption: not what ToWrite makes.
Result<HotRecord> ParseHotRecord(const meta::Record& record);

// Those of one inode, and all; damaged ones are left out, and the log says so. Block for a scan of
// the store.
Result<std::vector<HotRecord>> HotRecordsOf(meta::MetadataService& metadata, InodeId inode);
Result<std::vector<HotRecord>> AllHotRecords(meta::MetadataService& metadata);

}  // namespace pxfs::volumes
