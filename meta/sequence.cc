#include "meta/sequence.h"

#include <algorithm>

#include "meta/counters.h"

namespace pxfs::meta {

Sequence::Sequence(std::string_view name, uint64_t first, uint64_t block)
    : name_(name), block_(block), next_(first), end_(first) {}

Status Sequence::Load(KvEngine& engine) {
  PXFS_ASSIGN(const auto saved, ReadCounter(engine, name_));
  if (!saved) return {};
  std::lock_guard lock(mutex_);
  next_ = end_ = *saved;
  return {};
}

uint64_t Sequence::Next() const {
  std::lock_guard lock(mutex_);
  return next_;
}

Result<uint64_t> Sequence::Take(KvEngine& engine, uint64_t count) {
  std::lock_guard lock(mutex_);
  if (end_ - next_ < count) {
    const uint64_t end = next_ + std::max(count, block_);
    PXFS_TRY(WriteCounter(engine, name_, end));
    // Objects on volumes bear the numbers, and may survive a loss of power that the names of their
    // files do not.
    PXFS_TRY(engine.Sync());
    end_ = end;
  }
  const uint64_t first = next_;
  next_ += count;
  return first;
}

Status Sequence::Save(KvEngine& engine) {
  std::lock_guard lock(mutex_);
  if (end_ == next_) return {};
  end_ = next_;
  return WriteCounter(engine, name_, next_);
}

}  // namespace pxfs::meta
