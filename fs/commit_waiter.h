// CommitWaiter: answers fsync and close of files whose policy says commit=close, once the copies
// are there that they ask for (docs/replication.md).
//
// Thread-safe. One thread looks after all that wait.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/result.h"
#include "meta/service.h"
#include "volumes/volume.h"

namespace pxfs::fs {

class CommitWaiter {
 public:
  // What the waiting came to: kNoSpace where volumes have no room for so many copies, kIo where
  // they could not be made in time (commit-timeout, volumes/copy_settings.h). Called by the
  // waiter's thread.
  using Done = std::function<void(const Status&)>;

  CommitWaiter(meta::MetadataService& metadata, const volumes::VolumeSet& volumes)
      : metadata_(metadata), volumes_(volumes) {}
  ~CommitWaiter();
  // Who still waits is not answered: the kernel asks the next daemon, or the mount has gone. May be
  // called again.
  void Stop();

  // `done` is called once `copies` current copies of the file can be reached, and metadata knows of
  // them durably. A file that was removed needs none. Returns at once.
  void Await(InodeId inode, uint32_t copies, Done done);

 private:
  using Clock = std::chrono::steady_clock;
  struct Waiting {
    InodeId inode;
    uint32_t copies;
    Done done;
    Clock::time_point deadline{}, look_at_room{};
  };

  void Loop();
  // Nothing: not yet.
  std::optional<Status> Look(Waiting& waiting);
  Status CheckRoom(const Waiting& waiting, const meta::Location& file);

  meta::MetadataService& metadata_;
  const volumes::VolumeSet& volumes_;
  std::mutex mutex_;  // guards the rest
  std::condition_variable changed_;
  bool stopping_ = false;
  std::vector<Waiting> added_;
  std::thread thread_;  // from the first one that waits
};

}  // namespace pxfs::fs
