// An engine that keeps everything in a std::map: for tests, with faults on demand.
//
// It loses what was not synced when asked to (a power cut), and can fail any commit.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>

#include "meta/kv_engine.h"
#include "meta/striped_versions.h"

namespace pxfs::meta {

// What a memory engine stores; outlives it, as a disk does.
struct MemoryDisk {
  std::map<std::string, std::string, std::less<>> current;
  std::map<std::string, std::string, std::less<>> synced;  // what a power cut leaves
  void CutPower() { current = synced; }
};

class MemoryEngine final : public KvEngine {
 public:
  explicit MemoryEngine(std::shared_ptr<MemoryDisk> disk) : disk_(std::move(disk)) {}

  // Asked before every commit; an error is returned in place of committing.
  using Fault = std::function<Status(const std::vector<KvWrite>& writes)>;
  void SetFault(Fault fault);

  uint64_t Version(std::string_view key) const override { return versions_.Of(key); }
  bool Settled(uint64_t version) const override { return StripedVersions::Settled(version); }
  Result<bool> Get(std::string_view key, std::string* value) const override;
  Status Scan(std::string_view begin, std::string_view end, const Visitor& visit) const override;
  Status Commit(const std::vector<KvRead>& reads, const std::vector<KvWrite>& writes,
                const std::function<void()>& applied) override;
  Status Sync() override;

 private:
  const std::shared_ptr<MemoryDisk> disk_;
  mutable std::shared_mutex disk_mutex_;  // guards *disk_; taken after commit_mutex_
  std::mutex commit_mutex_;               // one commit at a time; guards fault_
  Fault fault_;
  StripedVersions versions_;
};

}  // namespace pxfs::meta
