// The torn end of a log after loss of power.
//
// A disk may keep any part of what was written and not synced: half of a record, or a later one
// without an earlier one. LevelDB takes the first for damage and would skip to the second. What is
// to be kept is what came before the first record that is not whole: it includes everything
// synced, as OrderedEnv (leveldb_env.h) leaves no log unsynced but the newest.
#pragma once

#include <string>
#include <string_view>

#include "meta/leveldb_env.h"

namespace pxfs::meta {

// How many bytes at the start of `log`, in LevelDB's log format, are whole records.
size_t WholeRecords(std::string_view log);

// To be called before LevelDB opens `directory`: cuts what follows the last whole record off the
// newest log and off the manifest in use, and makes both durable as they are then. Corruption: one
// of them is damaged where NoteClosed has said that all of it is durable. A directory without a
// database is left alone. Blocks for reading both.
leveldb::Status CutTornTails(DiskEnv& disk, const std::string& directory);

// To be called after LevelDB has closed `directory` and all logs were synced: notes, durably, how
// long the newest log and the manifest are. Blocks for that.
leveldb::Status NoteClosed(DiskEnv& disk, const std::string& directory);

}  // namespace pxfs::meta
