// The replicator: gives every file the copies that its policy and its own wishes ask for, takes
// away those that are stale or too many, empties volumes that are draining, and makes anew what
// lies on volumes that stay out of reach. docs/replication.md has the rules.
//
// volumes/file_copies.h is about one file, volumes/replicator_feeder.h about which file is next;
// here are the threads that work, and what they keep count of.
//
// Thread-safe. One per cluster: where the store is hosted.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/result.h"
#include "meta/service.h"
#include "volumes/copy_throttle.h"
#include "volumes/file_copies.h"
#include "volumes/replicator_feeder.h"
#include "volumes/returned_volume.h"
#include "volumes/volume.h"

namespace pxfs::volumes {

class Replicator final : private CopyHost {
 public:
  // Works in threads of its own, at idle I/O priority, from here to its destruction. kUnavailable
  // and so on: no session.
  // observer: is told of each step of each copy, from any thread. May be empty.
  using Observer = std::function<void(CopyStep)>;
  static Result<std::unique_ptr<Replicator>> Start(meta::MetadataService& metadata,
                                                   const VolumeSet& volumes,
                                                   Observer observer = {});
  ~Replicator() override;
  Replicator(const Replicator&) = delete;
  Replicator& operator=(const Replicator&) = delete;

 private:
  Replicator(meta::MetadataService& metadata, const VolumeSet& volumes, SessionId session,
             Observer observer);
  void FeedLoop();
  void WorkLoop(uint32_t worker);
  void WorkOn(const CopyTask& task);
  // The file has changed too often while it was copied, and within the last kQuiet.
  bool KeepsChanging(const CopyTask& task) const;
  Result<ReturnedContent> CompareReturned(const CopyTask& task);
  Status SweepReturned(VolumeId id);
  Status Finish(const CopyTask& task);
  Status QueueChildren(InodeId directory);
  void Report();

  bool MayReturn(VolumeId volume) override { return feeder_.MayReturn(volume); }
  Status NoteAway(VolumeId volume) override { return feeder_.NoteAway(volume); }
  bool Spend(VolumeId from, VolumeId to, uint64_t bytes, uint64_t cost) override;
  void Reached(CopyStep step) override;
  void Begun(const meta::ObjectRef& copy) override;
  void Ended(const meta::ObjectRef& copy) override;

  meta::MetadataService& metadata_;
  const VolumeSet& volumes_;
  const SessionId session_;
  const Observer observer_;
  CopyThrottle throttle_;
  CopyFeeder feeder_;
  FileCopies copies_;
  std::atomic<uint64_t> files_{0}, bytes_{0}, dropped_{0}, given_up_{0};
  // How much had been copied when, of the last seconds; of the feeding thread.
  std::deque<std::pair<std::chrono::steady_clock::time_point, uint64_t>> samples_;
  std::mutex rates_mutex_;  // guards rates_
  meta::CopyRates rates_;   // as last reported
  std::vector<std::thread> threads_;
};

}  // namespace pxfs::volumes
