// The checker of the metadata store: reads everything and says what does not fit together.
//
// It needs the store to itself and changes nothing. A large store is read several times, in parts
// of CheckOptions::part_inodes, so that memory is bounded but for 24 bytes for each directory.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "meta/finding.h"
#include "meta/kv_engine.h"
#include "meta/slots.h"

namespace pxfs::meta {

struct CensusInode;  // meta/check_census.h

struct CheckOptions {
  // As StoreOptions::name_hash; empty: the store's own.
  NameHash name_hash;
  // Nobody serves the store, nor shall go on with what a dead process had open: every session is a
  // problem, and so are totals that are wrong.
  bool offline = false;
  size_t part_inodes = 500'000;
};

// What the checker tells. Either may be empty.
struct CheckVisitor {
  std::function<void(Finding finding)> found;
  // After all that was found of an inode. loop: it is to be taken out of a loop of directories.
  // An error ends the check.
  std::function<Status(InodeId inode, const CensusInode& census, bool loop)> broken;
  // A record that cannot be read, or a counter that must be written: what would be right. Empty:
  // the record is better gone.
  std::function<void(const std::string& key, const std::string& value)> mend;
};

// kNotFound, kInvalid: no store that this program knows. kIo, kCorruption: the engine cannot read
// it at all.
Status WalkStore(KvEngine& engine, const CheckOptions& options, const CheckVisitor& visitor);

// One line for each problem: what is wrong with which inode. Empty: the store is sound. As above.
Result<std::vector<std::string>> CheckStore(KvEngine& engine, const CheckOptions& options = {});

}  // namespace pxfs::meta
