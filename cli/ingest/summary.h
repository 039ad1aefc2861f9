// What an ingest has done so far.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>

#include "base/ids.h"

namespace pxfs::cli {

struct VolumeShare {
  uint64_t files = 0, bytes = 0;
};

// Thread-safe.
struct IngestCounters {
  std::atomic<uint64_t> files{0};  // published, adopted ones included
  std::atomic<uint64_t> bytes{0};  // their content
  std::atomic<uint64_t> bytes_moved{
      0};  // copied so far, also of files that are not complete: for the progress bar
  std::atomic<uint64_t> directories{0}, links{0}, symlinks{0}, special{0};
  std::atomic<uint64_t> adopted{0};
  std::atomic<uint64_t> skipped{0}, skipped_bytes{0};  // there already (--resume)

  void AddFile(VolumeId volume, uint64_t size_bytes) {
    ++files;
    bytes += size_bytes;
    std::lock_guard lock(mutex);
    ++volumes[volume].files;
    volumes[volume].bytes += size_bytes;
  }
  std::map<VolumeId, VolumeShare> Shares() const {
    std::lock_guard lock(mutex);
    return volumes;
  }

 private:
  mutable std::mutex mutex;  // guards volumes
  std::map<VolumeId, VolumeShare> volumes;
};

}  // namespace pxfs::cli
