// DescriptorPool: the daemon's own descriptors of objects that are open, of which there may be far
// fewer than open files. What was not used lately is closed when there are too many; whoever needs
// it opens the object again (OpenTable::Descriptor).
//
// Thread-safe. Locks the mutexes of open files only where that takes no waiting, so that it can be
// called by who holds one.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>

#include "base/unique_fd.h"

namespace pxfs::fs {

class OpenFile;

class DescriptorPool {
 public:
  // used: counts those that are open. Outlives all descriptors that were given.
  DescriptorPool(size_t limit, std::atomic<uint64_t>& used) : limit_(limit), used_(used) {}

  // The descriptor becomes the file's; needs its lock. Closes others where there are too many.
  void Give(const std::shared_ptr<OpenFile>& file, UniqueFd fd, bool writable);

 private:
  void CloseSome(const OpenFile& except);
  // Takes those out that are no more.
  void Sweep();

  const size_t limit_;
  std::atomic<uint64_t>& used_;
  std::mutex mutex_;  // guards queue_
  // Files that were given one, the oldest first; each once at most (OpenFile::pooled).
  std::deque<std::weak_ptr<OpenFile>> queue_;
};

}  // namespace pxfs::fs
