// The policies of directories, all in memory: there are few. Thread-safe.
#pragma once

#include <atomic>
#include <optional>
#include <shared_mutex>
#include <unordered_map>

#include "base/result.h"
#include "meta/store.h"
#include "meta/types.h"

namespace pxfs::meta {

class PolicyTable {
 public:
  explicit PolicyTable(Store& store) : store_(store) {}

  Status Load();
  // What `inode` itself sets, what holds for it, and where that begins. Free when no policy is set
  // anywhere.
  Result<PolicyView> View(InodeId inode) const;
  // After the commit that wrote or erased the record.
  void Publish(InodeId directory, const Policy& policy);
  bool Has(InodeId directory) const;
  // A directory whose own policy pins files to the volume of this name; 0: none.
  InodeId PinnedTo(const std::string& volume) const;
  // Some directory says how kernels may reach content, or when it counts as written.
  bool speaks_of_writing() const { return speaks_of_writing_; }
  bool empty() const { return count_.load(std::memory_order_acquire) == 0; }

 private:
  // Needs mutex_.
  void Count();

  Store& store_;
  mutable std::shared_mutex mutex_;  // guards policies_
  std::unordered_map<InodeId, Policy> policies_;
  std::atomic<size_t> count_{0};
  std::atomic<bool> speaks_of_writing_{false};
};

}  // namespace pxfs::meta
