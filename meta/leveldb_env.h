// What LevelDB takes for the operating system: OrderedEnv, so that what it believes to be on disk
// is on disk after a loss of power too.
//
// LevelDB alone leaves gaps, and here is how they are closed:
//
// 1. It does not sync the name of a new log. Here the sync of a file makes the names in its
//    directory durable first.
// 2. It leaves a full log for the next one without syncing it, so that syncing the next one would
//    cover half of what was written. Here all that was written to earlier logs is durable before a
//    new log exists.
// 3. It renames CURRENT and then removes what the old one named. Here a rename is durable when it
//    returns.
//
// After a failed sync nobody knows what is on disk (the kernel forgets the pages), so from then on
// everything that writes fails.
//
// Thread-safe, as an Env must be.
#pragma once

#include <leveldb/env.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

namespace pxfs::meta {

// An Env that can also sync names, and files that somebody else is writing. Tests put a disk of
// their own here.
class DiskEnv : public leveldb::EnvWrapper {
 public:
  explicit DiskEnv(leveldb::Env* below) : EnvWrapper(below) {}
  ~DiskEnv() override;

  // Everything written to the file so far survives loss of power.
  virtual leveldb::Status SyncFile(const std::string& path) = 0;
  // The same for names made, changed and removed in the directory.
  virtual leveldb::Status SyncDirectory(const std::string& path) = 0;
};

// The machine's disk. Never deleted.
DiskEnv* RealDisk();

class OrderedEnv final : public leveldb::EnvWrapper {
 public:
  explicit OrderedEnv(DiskEnv* disk) : EnvWrapper(disk), disk_(*disk) {}
  ~OrderedEnv() override;

  // Everything that was written to logs so far survives loss of power. Goes past LevelDB, which
  // would let nobody write meanwhile.
  leveldb::Status SyncLogs();

  leveldb::Status NewWritableFile(const std::string& path, leveldb::WritableFile** file) override;
  leveldb::Status NewAppendableFile(const std::string& path, leveldb::WritableFile** file) override;
  leveldb::Status RemoveFile(const std::string& path) override;
  leveldb::Status RenameFile(const std::string& from, const std::string& to) override;

 private:
  class File;

  leveldb::Status Wrap(const std::string& path, leveldb::WritableFile** file);
  leveldb::Status SyncOpenLogs();
  leveldb::Status SyncNames(const std::string& path);
  void NamesChanged(const std::string& path);
  // Notes a failed sync, and returns what is to be returned.
  leveldb::Status Noted(leveldb::Status status);
  leveldb::Status Failure() const;

  struct Names {
    uint64_t changes = 0;
    uint64_t durable = 0;  // of the changes
  };

  DiskEnv& disk_;
  mutable std::mutex mutex_;            // guards all below
  std::map<std::string, Names> names_;  // by directory
  std::set<File*> logs_;                // open ones
  std::string newest_log_;
  leveldb::Status failure_;  // the first sync that failed
};

}  // namespace pxfs::meta
