// A metadata store in one file that does not depend on the engine: a backup, and the way from one
// engine to another. docs/formats.md has the format.
//
// Every function blocks for the whole file; memory is bounded whatever its size.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "meta/kv_engine.h"
#include "meta/service.h"

namespace pxfs::meta {

struct DumpSummary {
  std::string cluster_uuid, cluster_name;
  uint32_t schema = 0;
  int64_t made_seconds = 0;  // since 1970
  uint64_t records = 0;
};

// Writes the store as it is at one moment; commits go on meanwhile. The file appears whole and
// durable, in place of one that is there, or not at all.
Status WriteDump(const KvEngine& engine, const DumpTarget& target);

using DumpVisitor = std::function<Status(std::string_view key, std::string_view value)>;
// Reads and verifies the whole file and calls `visit` (may be empty) for its records in order. An
// error of `visit` ends it. kCorruption says where the file is damaged or cut short; kInvalid: not
// a dump, or a newer version of it or of the records.
Result<DumpSummary> ReadDump(const std::string& file, const DumpVisitor& visit);

// Makes a new store at `directory` (of LocalOptions) of a dump. Numbers that the old store may have
// given out after the dump was made are not given out again, because objects on volumes bear them.
// Durable when it returns. The dump is read once: where it is not sound to its end, half a store is
// left for the caller to remove. kExists: there is a store; as ReadDump.
Result<DumpSummary> LoadDump(const std::string& file, const std::string& directory);

}  // namespace pxfs::meta
