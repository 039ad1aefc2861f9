// CacheRevoker: drops from the kernel's caches what another session has changed
// (meta::CacheListener).
//
// The kernel's own locks make this delicate. Dropping a name takes the directory's lock, which a
// process of this mount may hold while its request waits, in another mount, for the very same kind
// of revocation. So names are dropped by a thread of their own, and where that takes longer than
// kPatience, the whole cache of names is expired instead (FUSE_NOTIFY_INC_EPOCH), which takes no
// lock; the stuck notification completes when it can.
#pragma once

#include <fuse3/fuse_lowlevel.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "fs/file_system.h"
#include "meta/service.h"

namespace pxfs::fs {

class CacheRevoker final : public meta::CacheListener {
 public:
  static constexpr std::chrono::milliseconds kPatience{100};
  // As long as so many wait for a notification that is stuck, Invalidate does, too.
  static constexpr size_t kMaxQueued = 1000;

  CacheRevoker() = default;
  ~CacheRevoker() override;

  // Until Start nothing is cached, so nothing needs to be dropped. All outlive Stop.
  void Start(fuse_session* session, FileSystem* file_system, Transport* transport);
  void Stop();

  void Invalidate(std::span<const meta::Invalidation> items) override;

 private:
  struct Batch {
    std::vector<meta::Invalidation> items;
    bool done = false;
  };

  void Loop();
  void Drop(const meta::Invalidation& item);

  std::mutex mutex_;
  std::condition_variable queued_, done_;
  std::deque<std::shared_ptr<Batch>> queue_;  // guarded by mutex_
  bool running_ = false;                      // guarded by mutex_
  fuse_session* session_ = nullptr;
  FileSystem* fs_ = nullptr;
  Transport* transport_ = nullptr;
  std::thread thread_;
};

}  // namespace pxfs::fs
