#include "meta/memory_engine.h"

#include <utility>

namespace pxfs::meta {

void MemoryEngine::SetFault(Fault fault) {
  std::lock_guard lock(commit_mutex_);
  fault_ = std::move(fault);
}

Result<bool> MemoryEngine::Get(std::string_view key, std::string* value) const {
  std::shared_lock lock(disk_mutex_);
  const auto it = disk_->current.find(key);
  if (it == disk_->current.end()) return false;
  *value = it->second;
  return true;
}

Status MemoryEngine::Scan(std::string_view begin, std::string_view end,
                          const Visitor& visit) const {
  std::shared_lock lock(disk_mutex_);
  for (auto it = disk_->current.lower_bound(begin); it != disk_->current.end() && it->first < end;
       ++it)
    if (!visit(it->first, it->second)) break;
  return {};
}

Status MemoryEngine::Commit(const std::vector<KvRead>& reads, const std::vector<KvWrite>& writes,
                            const std::function<void()>& applied) {
  std::lock_guard lock(commit_mutex_);
  if (!versions_.Unchanged(reads)) return Fail(Code::kConflict);
  if (fault_) PXFS_TRY(fault_(writes));
  versions_.Begin(writes);
  {
    std::unique_lock disk_lock(disk_mutex_);
    for (const KvWrite& write : writes) {
      if (write.erase)
        disk_->current.erase(write.key);
      else
        disk_->current[write.key] = write.value;
    }
  }
  applied();
  versions_.End(writes);
  return {};
}

Status MemoryEngine::Sync() {
  std::lock_guard lock(commit_mutex_);
  std::unique_lock disk_lock(disk_mutex_);
  disk_->synced = disk_->current;
  return {};
}

}  // namespace pxfs::meta
