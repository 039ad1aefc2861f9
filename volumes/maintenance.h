// The background work of a node's volumes: reports of space, checkpoints, recovery of files that a
// dead session had open, and deletion of objects that nothing refers to.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/result.h"
#include "meta/service.h"
#include "volumes/volume.h"

namespace pxfs::volumes {

// Commits size and times of every file in FilesToRecover from its object. Files on volumes that are
// offline stay on the list. Blocks; call it before serving.
Status RecoverOpenFiles(meta::MetadataService& metadata, const VolumeSet& volumes);

// Deletes the objects of up to `limit` reclaim items, once it is durable that nothing refers to
// them, and confirms them. Returns how many; waits up to `wait` for some.
Result<size_t> ReclaimOnce(meta::MetadataService& metadata, const VolumeSet& volumes,
                           uint32_t limit, std::chrono::milliseconds wait);

// Runs Refresh, RecoverOpenFiles, ReclaimOnce, SettlePowerLoss and Checkpoint in threads of its own
// from construction to destruction.
class Maintenance {
 public:
  Maintenance(meta::MetadataService& metadata, VolumeSet& volumes);
  ~Maintenance();
  Maintenance(const Maintenance&) = delete;
  Maintenance& operator=(const Maintenance&) = delete;

 private:
  // Waits; false as soon as the end has begun.
  bool Pause(std::chrono::milliseconds time);
  void ReportLoop();
  void ReclaimLoop();
  // Checkpoints, where this process hosts the store.
  void KeepLoop();

  meta::MetadataService& metadata_;
  VolumeSet& volumes_;
  std::mutex mutex_;  // guards stopping_
  std::condition_variable stop_;
  bool stopping_ = false;
  std::thread reporter_, reclaimer_, keeper_;
};

}  // namespace pxfs::volumes
