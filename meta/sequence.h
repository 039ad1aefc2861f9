// Numbers that are never given out twice, a crash or loss of power or not: taken from blocks whose
// end is durable in the store before the first of them is used. Thread-safe; blocks for a commit
// and a sync once a block.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "base/result.h"
#include "meta/kv_engine.h"

namespace pxfs::meta {

class Sequence {
 public:
  Sequence(std::string_view name, uint64_t first, uint64_t block);

  Status Load(KvEngine& engine);
  // The next number: none from it on has been given out.
  uint64_t Next() const;
  // `count` numbers in a row; returns the first.
  Result<uint64_t> Take(KvEngine& engine, uint64_t count = 1);
  // Gives back what is left of the block, as the store is closed in order.
  Status Save(KvEngine& engine);

 private:
  const std::string name_;  // of its counter
  const uint64_t block_;
  mutable std::mutex mutex_;  // guards next_ and end_
  uint64_t next_;
  uint64_t end_;  // next_ up to here may be given out
};

}  // namespace pxfs::meta
