#include "fs/descriptor_pool.h"

#include <algorithm>

#include "fs/open_file.h"

namespace pxfs::fs {

void DescriptorPool::Give(const std::shared_ptr<OpenFile>& file, UniqueFd fd, bool writable) {
  file->fd = std::shared_ptr<UniqueFd>(new UniqueFd(std::move(fd)), [used = &used_](UniqueFd* own) {
    delete own;
    --*used;
  });
  ++used_;
  file->fd_writable = writable;
  file->fd_used = false;
  if (!std::exchange(file->pooled, true)) {
    std::lock_guard lock(mutex_);
    Sweep();
    queue_.push_back(file);
  }
  if (used_ > limit_) CloseSome(*file);
}

void DescriptorPool::Sweep() {
  constexpr size_t kSlack = 64;
  if (queue_.size() <= 2 * used_ + kSlack) return;
  std::erase_if(queue_, [](const std::weak_ptr<OpenFile>& file) { return file.expired(); });
}

// One that was used since it was last looked at is passed over once.
void DescriptorPool::CloseSome(const OpenFile& except) {
  std::lock_guard lock(mutex_);
  for (size_t looks = 2 * queue_.size(); looks > 0 && used_ > limit_; --looks) {
    const std::shared_ptr<OpenFile> file = queue_.front().lock();
    queue_.pop_front();
    if (!file) continue;
    std::unique_lock<std::mutex> own;
    if (file.get() != &except) own = std::unique_lock(file->mutex, std::try_to_lock);
    if (!own) {
      queue_.push_back(file);
    } else if (file->fd && std::exchange(file->fd_used, false)) {
      queue_.push_back(file);
    } else {
      file->fd.reset();
      file->pooled = false;
    }
  }
}

}  // namespace pxfs::fs
