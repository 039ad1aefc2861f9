#include "meta/policies.h"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "meta/keys.h"
#include "meta/placement.h"

namespace pxfs::meta {

Status PolicyTable::Load() {
  const std::string begin = keys::Make(keys::Family::kPolicy);
  std::unique_lock lock(mutex_);
  Status status;
  PXFS_TRY(store_.engine().Scan(
      begin, keys::EndOf(begin), [&](std::string_view key, std::string_view value) {
        uint64_t inode = 0;
        auto policy = Decode<Policy>(key, value);
        if (!policy || !keys::ReadNumber(key, 0, &inode)) {
          status = policy ? Status(DamagedRecord(key, "no number")) : Fail(policy.error());
          return false;
        }
        policies_[InodeId(inode)] = std::move(*policy);
        return true;
      }));
  Count();
  return status;
}

Result<PolicyView> PolicyTable::View(InodeId inode) const {
  PolicyView view;
  std::vector<Policy> nearest_first;
  if (count_.load(std::memory_order_acquire) > 0) {
    // Not a transaction: a policy that changes while a file is placed may count or not.
    for (InodeId at = inode;;) {
      {
        std::shared_lock lock(mutex_);
        if (const auto it = policies_.find(at); it != policies_.end()) {
          if (at == inode) view.own = it->second;
          if (!view.set_on) view.set_on = at;
          nearest_first.push_back(it->second);
        }
      }
      if (at == kRootInode) break;
      PXFS_ASSIGN(const InodePtr record, store_.GetInode(at));
      if (!record->parent || record->parent == at) break;
      at = record->parent;
    }
  }
  view.effective = EffectivePolicy(nearest_first);
  return view;
}

void PolicyTable::Publish(InodeId directory, const Policy& policy) {
  std::unique_lock lock(mutex_);
  if (policy.empty())
    policies_.erase(directory);
  else
    policies_[directory] = policy;
  Count();
}

void PolicyTable::Count() {
  speaks_of_writing_ = std::any_of(policies_.begin(), policies_.end(), [](const auto& entry) {
    return entry.second.passthrough.has_value() || entry.second.commit_close.has_value();
  });
  count_.store(policies_.size(), std::memory_order_release);
}

InodeId PolicyTable::PinnedTo(const std::string& volume) const {
  std::shared_lock lock(mutex_);
  for (const auto& [directory, policy] : policies_)
    if (policy.placement == Placement::kPin && policy.pin_volume == volume) return directory;
  return InodeId();
}

bool PolicyTable::Has(InodeId directory) const {
  if (count_.load(std::memory_order_acquire) == 0) return false;
  std::shared_lock lock(mutex_);
  return policies_.contains(directory);
}

}  // namespace pxfs::meta
