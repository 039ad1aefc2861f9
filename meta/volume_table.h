// The volumes of the cluster: their records in the store, and how they are doing in memory.
// Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/result.h"
#include "meta/service.h"
#include "meta/store.h"
#include "meta/types.h"

namespace pxfs::meta {

class VolumeTable {
 public:
  explicit VolumeTable(Store& store) : store_(store) {}

  Status Load();
  Result<VolumeInfo> Add(VolumeInfo volume);  // kExists: its name, UUID or path is taken; kInvalid
  Status Update(const VolumeInfo& volume);
  // In one transaction with `note`, a record of another service. Restore takes it back.
  Status Remove(VolumeId volume, const std::optional<RecordWrite>& note);
  Status Restore(const VolumeInfo& volume);
  Status Report(const VolumeReport& report);

  // With what was reported; objects and bytes are filled in only by List.
  using Snapshot = std::shared_ptr<const std::vector<VolumeInfo>>;
  Snapshot Current() const;
  std::vector<VolumeInfo> List() const;

 private:
  struct Volume {
    VolumeInfo record;
    VolumeReport report;
    bool reported = false;
    bool full = false;  // below its reserve, and the log says so
  };
  static void NoteRoom(Volume& volume);  // logs when it becomes full, and when it has room again
  void Rebuild();                        // current_, after a change of volumes_
  Status Write(const VolumeInfo& volume);

  Store& store_;
  mutable std::mutex mutex_;  // guards the rest; not held across a commit, but by change_mutex_
  std::mutex change_mutex_;   // one Add or Update at a time; taken before mutex_
  std::map<VolumeId, Volume> volumes_;
  Snapshot current_ = std::make_shared<const std::vector<VolumeInfo>>();
};

}  // namespace pxfs::meta
