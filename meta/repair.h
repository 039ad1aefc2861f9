// Repairing a metadata store that nobody serves: what the checker finds is mended, inode by inode,
// from the records that are there.
//
// 1. Of records that say the same thing twice, the one that names things wins: entries over link
//    counts, counts and link records; inodes over the index of volumes; write records over counts.
// 2. Nothing that has content goes away. An inode that no path leads to gets the name back that it
//    says it has, or one in /lost+found: "#" and its number. A directory whose inode is lost is
//    made anew, and a file whose inode is lost is made anew of its object.
// 3. Names of what cannot be made anew (symlinks, special files) are removed.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "base/result.h"
#include "meta/check.h"
#include "meta/store.h"

namespace pxfs::meta {

// A regular file as its object shows it; nullopt: there is no object of it. `volumes`: where it
// should be; empty: not known. kUnavailable: a volume that may have one is away.
using FindObject = std::function<Result<std::optional<Location>>(
    InodeId inode, const std::set<VolumeId>& volumes)>;

inline constexpr const char* kLostAndFound = "lost+found";

// Gives `inode`, an edited record without names, a name in /lost+found, which is made if need be.
// A part of a transaction.
Status PutIntoLostAndFound(Transaction& tx, Store& store, InodeRecord& inode);
// A new, empty directory that has no name yet. A part of a transaction.
InodeRecord& AddDirectory(Transaction& tx, InodeId inode, uint32_t permissions, Timestamp now);

// Before the store can be opened: removes records that cannot be read, and writes counters that are
// missing or too low. Damaged inodes and volumes: the former become missing ones, the latter stay.
// Returns what it found. As WalkStore.
Result<std::vector<Finding>> MendRecords(KvEngine& engine, const CheckOptions& options);

// One pass over the store. Returns whether anything was changed: then another pass may find what
// follows from that. As WalkStore.
Result<bool> RepairOnce(Store& store, const CheckOptions& options, const FindObject& find_object);

}  // namespace pxfs::meta
