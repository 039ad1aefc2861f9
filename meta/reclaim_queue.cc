#include "meta/reclaim_queue.h"

#include <algorithm>
#include <utility>

#include "meta/erase.h"
#include "meta/keys.h"

namespace pxfs::meta {

Status ReclaimQueue::Add(Transaction& tx, const ReclaimRecord& record) {
  PXFS_ASSIGN(const uint64_t ticket, store_.NewTicket());
  tx.Put(keys::Reclaim(ticket), Encode(record));
  return {};
}

void ReclaimQueue::Announce() {
  std::lock_guard lock(mutex_);
  ++announced_;
  more_.notify_all();
}

Result<std::vector<ReclaimItem>> ReclaimQueue::Scan(uint64_t first, uint32_t limit) {
  std::vector<ReclaimItem> items;
  const std::string end = keys::EndOf(keys::Make(keys::Family::kReclaim));
  Status status;
  PXFS_TRY(store_.engine().Scan(
      keys::Reclaim(first), end, [&](std::string_view key, std::string_view value) {
        uint64_t ticket = 0;
        auto record = Decode<ReclaimRecord>(key, value);
        if (!record || !keys::ReadNumber(key, 0, &ticket)) {
          status = record ? Status(DamagedRecord(key, "no number")) : Fail(record.error());
          return false;
        }
        if (!handed_out_.contains(ticket))
          items.push_back({ticket, record->inode, std::move(record->replicas)});
        return items.size() < limit;
      }));
  PXFS_TRY(status);
  return items;
}

Result<std::vector<ReclaimItem>> ReclaimQueue::Take(uint32_t limit) {
  std::lock_guard lock(take_mutex_);
  const auto now = Clock::now();
  if (now >= rescan_) {
    rescan_ = now + retry_;
    next_ = settled_ = 0;
    handed_out_.clear();
  }
  const bool again = now >= look_again_;
  PXFS_ASSIGN(std::vector<ReclaimItem> items, Scan(again ? settled_ : next_, limit));
  for (const ReclaimItem& item : items) handed_out_.insert(item.ticket);
  if (again && items.size() == limit) {
    settled_ = items.back().ticket + 1;  // there is more to see at once
  } else if (again) {
    settled_ = next_;
    look_again_ = now + kLateCommits;
  }
  if (!items.empty()) next_ = std::max(next_, items.back().ticket + 1);
  return items;
}

Result<std::vector<ReclaimItem>> ReclaimQueue::Wait(uint32_t limit,
                                                    std::chrono::milliseconds wait) {
  const auto deadline = Clock::now() + wait;
  for (;;) {
    uint64_t seen;
    {
      std::lock_guard lock(mutex_);
      seen = announced_;
    }
    PXFS_ASSIGN(std::vector<ReclaimItem> items, Take(std::max(limit, 1u)));
    const auto now = Clock::now();
    if (!items.empty() || now >= deadline) return items;
    std::unique_lock lock(mutex_);
    const auto again = now + std::min(retry_, kLateCommits);
    more_.wait_until(lock, std::min(deadline, again), [&] { return announced_ != seen; });
  }
}

Status ReclaimQueue::Confirm(std::span<const ReclaimItem> items) {
  PXFS_TRY(store_.Run([&](Transaction& tx) -> Status {
    for (const ReclaimItem& item : items) {
      const std::string key = keys::Reclaim(item.ticket);
      PXFS_ASSIGN(const auto record, tx.GetRecord<ReclaimRecord>(key));
      if (!record) continue;  // confirmed before
      tx.Erase(key);
      if (record->whole_inode) PXFS_TRY(EraseInodeAndAll(tx, record->inode));
    }
    return {};
  }));
  std::lock_guard lock(take_mutex_);
  for (const ReclaimItem& item : items) handed_out_.erase(item.ticket);
  return {};
}

Result<uint64_t> ReclaimQueue::Count() const {
  uint64_t count = 0;
  const std::string begin = keys::Make(keys::Family::kReclaim);
  PXFS_TRY(store_.engine().Scan(begin, keys::EndOf(begin),
                                [&](std::string_view, std::string_view) { return ++count; }));
  return count;
}

}  // namespace pxfs::meta
