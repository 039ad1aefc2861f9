// Which objects something in the store refers to.
#pragma once

#include <functional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "meta/kv_engine.h"
#include "meta/records.h"
#include "meta/service.h"

namespace pxfs::meta {

// Reservations and items to reclaim as of its making, inodes as `get_inode` has them. Memory grows
// with the former two.
class KnownObjects {
 public:
  using GetInode = std::function<Result<InodePtr>(InodeId)>;

  static Result<KnownObjects> Load(const KvEngine& engine, GetInode get_inode);
  // An inode has it as a replica, or it is reserved, or about to be deleted. kCorruption.
  Result<bool> Has(const ObjectRef& object) const;

 private:
  explicit KnownObjects(GetInode get_inode) : get_inode_(std::move(get_inode)) {}

  GetInode get_inode_;
  std::set<InodeId> reserved_;
  std::set<std::pair<InodeId, uint64_t>> reclaimed_;  // inode, object generation
};

}  // namespace pxfs::meta
