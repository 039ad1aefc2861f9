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

// The inodes that a census is of, so that a large store can be read in parts.
struct InodeRange {
  InodeId begin;
  InodeId end{~uint64_t{0}};  // exclusive

  bool Has(InodeId inode) const { return inode >= begin && inode < end; }
};

// A name of an inode: its directory and the slot there.
using LinkPlace = std::pair<InodeId, uint64_t>;

struct CensusInode {
  std::optional<InodeRecord> record;       // absent: only other records speak of it
  bool damaged = false;                    // there is a record, and it cannot be read
  std::map<LinkPlace, std::string> names;  // entries that refer to it
  struct EntryTraits {
    uint32_t type = 0;
    bool chained = false;
  };
  std::map<LinkPlace, EntryTraits> entry_traits;  // of `names`
  std::map<LinkPlace, std::string> link_records;
  std::map<uint64_t, EntryRecord> slots;  // its own entries, if it is a directory
  std::set<std::string> xattrs;
  std::set<VolumeId> indexed_on;
  std::set<SessionId> writers;
  std::optional<OrphanRecord> orphan;
  std::vector<uint64_t> reclaim_tickets;  // of the whole inode
  std::set<SessionId> reserved_by;        // the next two
  bool reserved_detached = false, reserved_object = false, has_policy = false;
};

struct Census {
  std::map<InodeId, CensusInode> inodes;
  std::map<SessionId, std::string> sessions;  // with what they say they are
  std::set<SessionId> mentioned_sessions;     // by open files, orphans and reservations
  std::set<VolumeId> volumes;
  uint64_t next_inode = 0;
  uint64_t last_inode = 0, last_ticket = 0, last_session = 0, last_volume = 0;  // with a record
  struct Damaged {
    std::string key;
    InodeId inode;  // that the record is of; 0: of none
    std::string what;
  };
  std::vector<Damaged> damaged;  // records that cannot be read
};

// Reads the whole store and keeps what is about the inodes in `range`; what is about no inode is
// always kept.
Result<Census> TakeCensus(KvEngine& engine, const InodeRange& range = {});

}  // namespace pxfs::meta
