#include "fs/cache_revoker.h"

#include <cerrno>

#include "base/logging.h"

namespace pxfs::fs {

CacheRevoker::~CacheRevoker() { Stop(); }

void CacheRevoker::Start(fuse_session* session, FileSystem* file_system, Transport* transport) {
  std::lock_guard lock(mutex_);
  session_ = session;
  fs_ = file_system;
  transport_ = transport;
  running_ = true;
  thread_ = std::thread([this] { Loop(); });
}

void CacheRevoker::Stop() {
  {
    std::lock_guard lock(mutex_);
    if (!running_) return;
    running_ = false;
  }
  queued_.notify_all();
  done_.notify_all();
  thread_.join();
}

void CacheRevoker::Invalidate(std::span<const meta::Invalidation> items) {
  auto batch = std::make_shared<Batch>();
  batch->items.assign(items.begin(), items.end());
  {
    std::unique_lock lock(mutex_);
    if (!running_) return;
    queue_.push_back(batch);
    queued_.notify_one();
    if (done_.wait_for(lock, kPatience, [&] { return batch->done || !running_; })) return;
  }
  if (auto expired = transport_->ExpireAllNames(); !expired) {
    log::debug("names cannot be expired at once ({}); waiting for the kernel",
               expired.error().message());
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return batch->done || !running_; });
  }
  std::unique_lock lock(mutex_);
  done_.wait(lock, [&] { return queue_.size() < kMaxQueued || !running_; });
}

void CacheRevoker::Loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    queued_.wait(lock, [&] { return !queue_.empty() || !running_; });
    if (!running_) return;
    auto batch = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    for (const auto& item : batch->items) Drop(item);
    lock.lock();
    batch->done = true;
    done_.notify_all();
  }
}

void CacheRevoker::Drop(const meta::Invalidation& item) {
  using Kind = meta::Invalidation::Kind;
  const fuse_ino_t node = fs_->NodeOf(item.inode);
  int error = 0;
  switch (item.kind) {
    case Kind::kAttr:
      fs_->PermissionsChanged(item.inode);
      error = fuse_lowlevel_notify_inval_inode(session_, node, -1, 0);
      break;
    case Kind::kContent:
      fs_->open_files().DropIdle(item.inode);
      error = fuse_lowlevel_notify_inval_inode(session_, node, 0, 0);
      break;
    case Kind::kEntry:
      error = fuse_lowlevel_notify_inval_entry(session_, node, item.name.data(), item.name.size());
      break;
    case Kind::kListing:
      error = fuse_lowlevel_notify_inval_inode(session_, node, 0, 0);
      if (auto expired = transport_->ExpireAllNames();
          !expired && expired.error() != Code::kNotSupported)
        log::warn("expiring names: {}", expired.error().message());
      break;
    case Kind::kOrphaned:
      fs_->AddOrphan(item.inode);
      error = fuse_lowlevel_notify_inval_inode(session_, node, -1, 0);
      // The kernel does not know it, so it will not forget it either.
      if (error == -ENOENT) fs_->Forgotten(item.inode);
      break;
    case Kind::kAll:
      if (auto expired = transport_->ExpireAllNames(); !expired)
        log::warn("expiring names: {}", expired.error().message());
      fs_->open_files().GiveUpIdle();
      return;
  }
  if (error != 0 && error != -ENOENT && error != -ENOTEMPTY)
    log::debug("revoking inode {}: error {}", item.inode.value, -error);
}

}  // namespace pxfs::fs
