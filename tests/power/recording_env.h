// A disk for LevelDB, in memory, that writes down all that is done to it; and what is left of it if
// the power goes at any moment.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "meta/leveldb_env.h"

namespace pxfs::power {

// What the disk holds: by path.
using DiskImage = std::map<std::string, std::string>;

struct DiskEvent {
  enum class Kind : uint8_t {
    kCreate,         // file, path: a new, empty file
    kAppend,         // file, data
    kSyncFile,       // file
    kRename,         // path, data: the new path
    kRemove,         // path
    kSyncDirectory,  // all names
    kMark,           // number: of the test's own
  };
  Kind kind;
  uint64_t file = 0;  // number of the file
  std::string path = {}, data = {};
  int64_t number = 0;
};

// Thread-safe, as an Env must be. All files are in one directory, as LevelDB's are.
class RecordingEnv final : public meta::DiskEnv {
 public:
  explicit RecordingEnv(const DiskImage& image = {});
  ~RecordingEnv() override;

  // After nothing uses it any more.
  const std::vector<DiskEvent>& events() const { return events_; }
  void Mark(int64_t number);

  leveldb::Status NewSequentialFile(const std::string& path,
                                    leveldb::SequentialFile** file) override;
  leveldb::Status NewRandomAccessFile(const std::string& path,
                                      leveldb::RandomAccessFile** file) override;
  leveldb::Status NewWritableFile(const std::string& path, leveldb::WritableFile** file) override;
  leveldb::Status NewAppendableFile(const std::string& path, leveldb::WritableFile** file) override;
  bool FileExists(const std::string& path) override;
  leveldb::Status GetChildren(const std::string& directory,
                              std::vector<std::string>* names) override;
  leveldb::Status RemoveFile(const std::string& path) override;
  leveldb::Status CreateDir(const std::string& path) override;
  leveldb::Status RemoveDir(const std::string& path) override;
  leveldb::Status GetFileSize(const std::string& path, uint64_t* size) override;
  leveldb::Status RenameFile(const std::string& from, const std::string& to) override;
  leveldb::Status LockFile(const std::string& path, leveldb::FileLock** lock) override;
  leveldb::Status UnlockFile(leveldb::FileLock* lock) override;
  leveldb::Status NewLogger(const std::string& path, leveldb::Logger** logger) override;
  leveldb::Status SyncFile(const std::string& path) override;
  leveldb::Status SyncDirectory(const std::string& path) override;
  leveldb::Status Truncate(const std::string& path, uint64_t size) override;
  leveldb::Status Reserve(const std::string& path, uint64_t bytes) override;

 private:
  struct File;
  class Reader;
  class Writer;

  std::shared_ptr<File> Find(const std::string& path);

  std::mutex mutex_;  // guards all below, and the content of files
  std::map<std::string, std::shared_ptr<File>> files_;
  uint64_t next_file_ = 1;
  std::vector<DiskEvent> events_;
};

// Where to cut the power: `count` numbers of events that are over, in order. Not before the first
// Sync has come back (a mark below 0), as no store is complete before; empty: none has.
std::vector<size_t> CutPoints(const std::vector<DiskEvent>& events, size_t count,
                              std::mt19937_64& random);

// Between these numbers of operations is what may be left.
struct Bounds {
  size_t durable = 0, begun = 0;
};

// The same disk as the events made it, from the start of a recording to any point of it.
class DiskReplay {
 public:
  explicit DiskReplay(const DiskImage& image = {});
  void Apply(const DiskEvent& event);

  // What a disk may hold if the power goes now: all that was synced, and of the rest whatever
  // `random` picks: of the names the earlier changes or any of them, of what was appended to a file
  // nothing, a part, or any of its sectors with zeros between.
  DiskImage AfterPowerCut(std::mt19937_64& random) const;

 private:
  struct File {
    std::string content;
    size_t synced = 0;
  };
  using Names = std::map<std::string, uint64_t>;

  static void ApplyNames(const DiskEvent& event, Names* names);

  std::map<uint64_t, File> files_;
  Names durable_;
  std::vector<DiskEvent> changes_;  // of names, since they were synced
};

}  // namespace pxfs::power
