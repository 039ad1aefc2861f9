// The background work of a node's volumes: reports of space, checkpoints, recovery of files that a
// dead session had open, and deletion of objects that nothing refers to.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/result.h"
#include "meta/service.h"
#include "volumes/metadata_copy.h"
#include "volumes/volume.h"

namespace pxfs::volumes {

// Commits size and times of every file in FilesToRecover from its object. Files on volumes that are
// offline stay on the list. Blocks; call it before serving.
Status RecoverOpenFiles(meta::MetadataService& metadata, const VolumeSet& volumes);

// Deletes the objects of up to `limit` reclaim items, once it is durable that nothing refers to
// them, and confirms them. Returns how many; waits up to `wait` for some.
Result<size_t> ReclaimOnce(meta::MetadataService& metadata, const VolumeSet& volumes,
                           uint32_t limit, std::chrono::milliseconds wait);

// Runs Refresh, RecoverOpenFiles, ReclaimOnce, SettlePowerLoss, Checkpoint and copies of the
// metadata in threads of its own from construction to destruction.
class Maintenance {
 public:
  // cluster: what copies of the metadata say they are of; without it none are made.
  Maintenance(meta::MetadataService& metadata, VolumeSet& volumes,
              MetadataCopies::Cluster cluster = {});
  ~Maintenance();
  Maintenance(const Maintenance&) = delete;
  Maintenance& operator=(const Maintenance&) = delete;

 private:
  // Waits; false as soon as the end has begun.
  bool Pause(std::chrono::milliseconds time);
  void ReportLoop();
  void ReclaimLoop();
  // Checkpoints, and copies of the metadata, where this process hosts the store.
  void KeepLoop();

  meta::MetadataService& metadata_;
  VolumeSet& volumes_;
  MetadataCopies copies_;  // the keeper's
  std::mutex mutex_;       // guards stopping_
  std::condition_variable stop_;
  bool stopping_ = false;
  std::thread reporter_, reclaimer_, keeper_;
};

}  // namespace pxfs::volumes
