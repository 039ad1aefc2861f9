// The slow background scrub: reads every object once in a while, as CopySettings say, and has
// damaged ones replaced by a good copy. What cannot be replaced is logged by path.
//
// Thread-safe. One per cluster, where the store is hosted; for volumes on this node.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/result.h"
#include "meta/service.h"
#include "volumes/copy_settings.h"
#include "volumes/copy_throttle.h"
#include "volumes/volume.h"

namespace pxfs::volumes {

class Scrubber {
 public:
  // Works in a thread of its own, at idle I/O priority, from construction to destruction.
  Scrubber(meta::MetadataService& metadata, const VolumeSet& volumes);
  ~Scrubber();
  Scrubber(const Scrubber&) = delete;
  Scrubber& operator=(const Scrubber&) = delete;

 private:
  void Loop();
  // One look at everything: reads what is due.
  Status Pass(const CopySettings& settings);
  Status Scrub(InodeId inode, const CopySettings& settings);
  bool Pause(std::chrono::nanoseconds time);

  meta::MetadataService& metadata_;
  const VolumeSet& volumes_;
  CopyThrottle throttle_;
  std::mutex mutex_;  // guards stopping_
  std::condition_variable stop_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace pxfs::volumes
