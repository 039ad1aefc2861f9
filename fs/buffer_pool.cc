#include "fs/buffer_pool.h"

#include <utility>

namespace pxfs::fs {

BufferPool::Buffer BufferPool::Take(size_t size) {
  Block block;
  {
    std::lock_guard lock(mutex_);
    if (!kept_.empty()) {
      block = std::move(kept_.back());
      kept_.pop_back();
    }
  }
  if (!block.bytes || block.capacity < size) {
    Free(std::move(block));
    block = {std::make_unique_for_overwrite<char[]>(size), size};
    bytes_ += size;
  }
  return Buffer(*this, std::move(block));
}

void BufferPool::Return(Block block) {
  {
    std::lock_guard lock(mutex_);
    if (kept_.size() < most_kept_) return kept_.push_back(std::move(block));
  }
  Free(std::move(block));
}

void BufferPool::Shrink() {
  std::vector<Block> unused;
  {
    std::lock_guard lock(mutex_);
    unused.swap(kept_);
  }
  for (Block& block : unused) Free(std::move(block));
}

}  // namespace pxfs::fs
