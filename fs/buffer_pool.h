// BufferPool: what the daemon reads objects into. A buffer in use belongs to a request, of which no
// more run than there are threads; one that is not is kept for the next, up to as many.
//
// Thread-safe.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace pxfs::fs {

class BufferPool {
 private:
  struct Block {
    std::unique_ptr<char[]> bytes;
    size_t capacity = 0;
  };

 public:
  // Back in the pool at its end.
  class Buffer {
   public:
    Buffer(BufferPool& pool, Block block) : pool_(&pool), block_(std::move(block)) {}
    Buffer(Buffer&& other) noexcept = default;
    ~Buffer() {
      if (block_.bytes) pool_->Return(std::move(block_));
    }
    char* data() const { return block_.bytes.get(); }

   private:
    BufferPool* pool_;
    Block block_;
  };

  // bytes: counts those of all buffers. Outlives the pool.
  BufferPool(size_t most_kept, std::atomic<uint64_t>& bytes)
      : most_kept_(most_kept), bytes_(bytes) {}
  ~BufferPool() { Shrink(); }

  Buffer Take(size_t size);
  // Gives up those that nobody uses.
  void Shrink();

 private:
  void Return(Block block);
  void Free(Block block) { bytes_ -= block.capacity; }

  const size_t most_kept_;
  std::atomic<uint64_t>& bytes_;
  std::mutex mutex_;  // guards kept_
  std::vector<Block> kept_;
};

}  // namespace pxfs::fs
