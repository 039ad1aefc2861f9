// Ballast: room on the store's disk that is kept for the time when there is no other.
//
// A full disk must not stop removals, which alone can make room, nor LevelDB in the middle of a
// record or a compaction. So a file beside the store holds some space, and is cut shorter whenever
// a write of the store finds none. While it is not whole, nothing is added to the namespace
// (KvEngine::RoomToGrow). It grows back when the disk has room for it and as much again.
//
// Thread-safe. Calls block for the disk.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

#include "base/unique_fd.h"

namespace pxfs::meta {

class Ballast {
 public:
  // The file is made, or what an earlier process left of it is taken over. On a file system that
  // cannot reserve space there is none, and whole() is true.
  explicit Ballast(const std::string& path);

  bool whole() const { return whole_; }
  // Gives some of it to the disk, and returns how many bytes; 0 when nothing is left of it.
  uint64_t Give();
  // Takes back what was given if there is room by now; looks at the disk ten times a second at
  // most. Returns whole().
  bool Restore();

 private:
  bool RestoreLocked();

  const std::string path_;
  UniqueFd fd_;  // none: there is no ballast
  uint64_t full_bytes_ = 0;
  std::atomic<bool> whole_{true};
  std::mutex mutex_;  // guards the file's size, and these
  std::chrono::steady_clock::time_point next_look_;
};

}  // namespace pxfs::meta
