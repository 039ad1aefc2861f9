// Files that nobody has open any more.
#include "fs/open_table.h"

namespace pxfs::fs {

void OpenTable::GoIdle(const std::shared_ptr<OpenFile>& file) {
  bool wake;
  {
    std::lock_guard lock(idle_mutex_);
    file->idle_ticket = next_ticket_++;
    wake = idle_.empty() || idle_.size() == kIdleBackings + kIdleBatch;
    idle_.push_back({file, file->idle_ticket, std::chrono::steady_clock::now()});
  }
  if (wake) idle_changed_.notify_one();
}

// The rest, which may wait for others, is the idle thread's.
void OpenTable::LetGo(const std::shared_ptr<OpenFile>& file) {
  Unbind(*file);
  {
    std::lock_guard lock(idle_mutex_);
    file->idle_ticket = next_ticket_++;
    idle_.push_front({file, file->idle_ticket, std::chrono::steady_clock::now() - kIdleTime});
  }
  idle_changed_.notify_one();
}

void OpenTable::IdleLoop() {
  std::unique_lock lock(idle_mutex_);
  while (!stopping_) {
    if (idle_.empty()) {
      idle_changed_.wait(lock);
      continue;
    }
    const auto expiry = idle_.front().since + kIdleTime;
    if (idle_.size() <= kIdleBackings && idle_.front().ticket >= give_up_ &&
        std::chrono::steady_clock::now() < expiry) {
      idle_changed_.wait_until(lock, expiry + kIdleSlack);
      continue;
    }
    const Idle oldest = std::move(idle_.front());
    idle_.pop_front();
    lock.unlock();
    EndIdling(oldest);
    lock.lock();
  }
}

// False: it has been opened again, or has gone already.
bool OpenTable::EndIdling(const Idle& idle) {
  Turn file(*this, idle.file);
  if (file->dead || file->idle_ticket != idle.ticket) return false;
  Remove(file);
  return true;
}

bool OpenTable::GiveUpOldestIdle() {
  for (;;) {
    Idle oldest;
    {
      std::lock_guard lock(idle_mutex_);
      if (idle_.empty()) return false;
      oldest = std::move(idle_.front());
      idle_.pop_front();
    }
    if (EndIdling(oldest)) return true;
  }
}

void OpenTable::GiveUpIdle() {
  {
    std::lock_guard lock(idle_mutex_);
    give_up_ = next_ticket_;
  }
  idle_changed_.notify_one();
}

void OpenTable::StopIdling() {
  {
    std::lock_guard lock(idle_mutex_);
    stopping_ = true;
  }
  idle_changed_.notify_all();
  if (idle_thread_.joinable()) idle_thread_.join();
}

void OpenTable::DropIdle(InodeId inode) {
  auto file = Find(inode);
  if (!file || (*file)->in_use()) return;
  if ((*file)->taken)
    (*file)->let_go = true;
  else
    LetGo(file->shared());
}

}  // namespace pxfs::fs
