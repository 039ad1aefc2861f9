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
// A write that finds the disk full is done again with room that the ballast gives, so LevelDB never
// sees half a record in a log. Where nothing is left to give, what the log has of it is cut off.
//
// After a failed sync nobody knows what is on disk (the kernel forgets the pages), so from then on
// everything that writes fails. So it does after a write that failed, as LevelDB cannot go on in
// that file.
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

#include "meta/ballast.h"

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
  // Makes a file shorter, and gives back what was reserved for it.
  virtual leveldb::Status Truncate(const std::string& path, uint64_t size) = 0;
  // Room for `bytes` more behind the end of a file, so that nobody else gets it.
  virtual leveldb::Status Reserve(const std::string& path, uint64_t bytes) = 0;
};

// LevelDB flattens errno into text.
bool IsNoSpace(const leveldb::Status& status);

// Runs an operation again for as long as it finds no space and there is some to be given; it is
// told how many bytes were given just now. ballast: null where there is none.
template <typename Operation>
leveldb::Status WithRoom(Ballast* ballast, Operation&& operation) {
  for (uint64_t given = 0;;) {
    leveldb::Status status = operation(given);
    if (!IsNoSpace(status) || ballast == nullptr) return status;
    given = ballast->Give();
    if (given == 0) return status;
  }
}

// The machine's disk. Never deleted.
DiskEnv* RealDisk();

class OrderedEnv final : public leveldb::EnvWrapper {
 public:
  // ballast: null where there is none; outlives this.
  OrderedEnv(DiskEnv* disk, Ballast* ballast) : EnvWrapper(disk), disk_(*disk), ballast_(ballast) {}
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

  leveldb::Status Wrap(const std::string& path, uint64_t size, leveldb::WritableFile** file);
  leveldb::Status SyncOpenLogs();
  leveldb::Status SyncNames(const std::string& path);
  void NamesChanged(const std::string& path);
  // Notes what failed for good, and returns what is to be returned.
  leveldb::Status Noted(leveldb::Status status);
  leveldb::Status Failure() const;

  struct Names {
    uint64_t changes = 0;
    uint64_t durable = 0;  // of the changes
  };

  DiskEnv& disk_;
  Ballast* const ballast_;
  mutable std::mutex mutex_;            // guards all below
  std::map<std::string, Names> names_;  // by directory
  std::set<File*> logs_;                // open ones
  std::string newest_log_;
  leveldb::Status failure_;  // the first sync or write that failed
};

}  // namespace pxfs::meta
