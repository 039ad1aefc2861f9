// A first look over all inodes of a store, for the checker: what cannot be seen from one inode.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "meta/check_census.h"
#include "meta/kv_engine.h"

namespace pxfs::meta {

struct Survey {
  std::vector<InodeRange> parts;  // all numbers, in parts of about as many inodes as asked for
  std::set<InodeId> loops;        // one directory of each loop of directories
  uint64_t last_epoch = 0;        // that content was stamped with
  bool totals_right = true;       // true also where there are none
  std::string totals_key;
};

// Damaged inodes are passed over.
Result<Survey> TakeSurvey(KvEngine& engine, size_t part_inodes);

}  // namespace pxfs::meta
