// The replicator: gives every file the copies that its policy asks for, takes away those that are
// stale or too many, and empties volumes that are draining. docs/replication.md has the rules.
//
// It looks at what an inode is and should be, and makes one step at a time, each of which is a
// transaction of its own; so it can be killed at any point, and what it is told twice does no harm.
// What it has to look at is in meta/copy_queue.h and, for draining volumes, in the volume's own
// index.
//
// Thread-safe. One per cluster: where the store is hosted.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "base/result.h"
#include "meta/copy_queue.h"
#include "meta/service.h"
#include "volumes/volume.h"

namespace pxfs::volumes {

// What a look at a file came to.
enum class CopyOutcome {
  kSettled,  // it has what it should have, or whoever changes it now will queue it again
  kLater,    // something is in the way now: no room, a volume that is away, a file in use
};

class FileCopies {
 public:
  FileCopies(meta::MetadataService& metadata, const VolumeSet& volumes, SessionId session)
      : metadata_(metadata), volumes_(volumes), session_{.session = session} {}

  // Makes and drops copies until the file has what it should have. Blocks for the copying. Gives up
  // between two blocks of data once `stop` says so (kInterrupted).
  Result<CopyOutcome> Settle(InodeId inode, const std::function<bool()>& stop);

 private:
  struct Plan;
  Result<Plan> Look(InodeId inode) const;
  Status Copy(InodeId inode, VolumeId target, const std::function<bool()>& stop);
  Result<meta::FinishedCopy> MakeObject(const meta::CopyTicket& ticket,
                                        const std::function<bool()>& stop);
  Status Commit(meta::FinishedCopy copy);
  Result<bool> Drop(InodeId inode, const meta::Replica& replica);

  meta::MetadataService& metadata_;
  const VolumeSet& volumes_;
  const meta::CallContext session_;
};

class Replicator {
 public:
  // Works in a thread of its own, at idle I/O priority, from here to its destruction. kUnavailable
  // and so on: no session.
  static Result<std::unique_ptr<Replicator>> Start(meta::MetadataService& metadata,
                                                   const VolumeSet& volumes);
  ~Replicator();
  Replicator(const Replicator&) = delete;
  Replicator& operator=(const Replicator&) = delete;

 private:
  Replicator(meta::MetadataService& metadata, const VolumeSet& volumes, SessionId session);
  void Loop();
  Status WorkOnQueue();
  Status WorkOn(const meta::CopyItem& item);
  Status QueueChildren(InodeId directory);
  Status WorkOnDrains();
  Status Drain(VolumeId volume);
  bool stopping() const;
  bool Pause();

  meta::MetadataService& metadata_;
  const SessionId session_;
  FileCopies copies_;
  mutable std::mutex mutex_;  // guards stopping_
  std::condition_variable stop_;
  bool stopping_ = false;
  // Items to be passed over until then; of this process only.
  std::map<std::string, std::chrono::steady_clock::time_point> not_before_;
  std::thread thread_;
};

}  // namespace pxfs::volumes
