// What the checker gathers before it compares: every record by the inode that it is about.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "meta/kv_engine.h"
#include "meta/records.h"

namespace pxfs::meta {

// A name of an inode: its directory and the slot there.
using LinkPlace = std::pair<InodeId, uint64_t>;

struct CensusInode {
  std::optional<InodeRecord> record;       // absent: only other records speak of it
  std::map<LinkPlace, std::string> names;  // entries that refer to it
  std::map<LinkPlace, std::string> link_records;
  std::map<uint64_t, EntryRecord> slots;  // its own entries, if it is a directory
  std::set<std::string> xattrs;
  std::set<VolumeId> indexed_on;
  std::set<SessionId> writers;
  std::optional<OrphanRecord> orphan;
  uint64_t reclaim_items = 0;  // of the whole inode
  bool reserved_detached = false, reserved_object = false, has_policy = false;
};

struct Census {
  std::map<InodeId, CensusInode> inodes;
  std::set<SessionId> sessions;
  std::set<SessionId> mentioned_sessions;  // by open files, orphans and reservations
  std::set<VolumeId> volumes;
  uint64_t next_inode = 0;
  std::vector<std::string> problems;  // records that cannot be read
};

// Reads the whole store. Damaged records become problems.
Result<Census> TakeCensus(KvEngine& engine);

}  // namespace pxfs::meta
