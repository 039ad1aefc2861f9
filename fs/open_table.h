// OpenTable: the inodes that this mount has open, each with its object, its backing id and the
// count of its opens.
//
// 1. All opens of an inode share one backing id while any is open: the kernel refuses a second one
// with EIO.
// 2. A record with writers has the write grant of the metadata service; the last writer's release
// gives it back.
// 3. After the last release the backing stays registered for a while (kIdleBackings, kIdleTime), so
// that a
//    file that is opened again at once needs no system call for it. Executable files are let go at
//    once: a descriptor that may write them would make execve of a hard link (the fast path) fail
//    with ETXTBSY.
// 4. What the next daemon needs lies in ConnectionState; everything else here can be made again
// from it.
//
// Lock order: an OpenFile's mutex, then a shard's, then the idle list's. An OpenFile's mutex is
// held over the opening of its object on purpose: it is what makes 1 true, and only opens of the
// same inode wait for it.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "fs/connection_state.h"
#include "fs/transport.h"
#include "meta/service.h"
#include "volumes/volume.h"

namespace pxfs::fs {

class OpenFile {
 public:
  OpenFile(InodeId id, OpenRecord* shared_record) : inode(id), record(shared_record) {}

  const InodeId inode;
  std::mutex mutex;  // guards everything below
  OpenRecord* const record;
  std::shared_ptr<volumes::Volume> volume;
  // Of the object, for what does not go by passthrough; opened when first needed. Shared, so that
  // I/O under way keeps the one that it began with.
  std::shared_ptr<UniqueFd> fd;
  bool fd_writable = false;
  meta::Timestamp atime, mtime;  // as metadata has them
  uint64_t size_bytes = 0;       // when it was bound to its object
  bool executable = false;       // some execute bit is set
  bool name_durable = false;     // of the object, by an fsync here
  bool dead = false;             // out of the table: look up again
  uint64_t idle_ticket = 0;      // of its newest entry in the idle list

  volumes::ObjectName object() const { return {inode, record->object_generation}; }
  OpenCounts counts() const { return OpenCounts::Unpack(record->counts); }
  uint32_t opens() const { return counts().opens; }
  uint32_t writers() const { return counts().writers; }
};

// A locked OpenFile.
class OpenFileRef {
 public:
  OpenFileRef(std::shared_ptr<OpenFile> file, std::unique_lock<std::mutex> lock)
      : file_(std::move(file)), lock_(std::move(lock)) {}
  OpenFile* operator->() const { return file_.get(); }
  OpenFile& operator*() const { return *file_; }

 private:
  std::shared_ptr<OpenFile> file_;
  std::unique_lock<std::mutex> lock_;
};

class OpenTable {
 public:
  static constexpr size_t kIdleBackings = 8192;
  // They are let go of in batches, so that not every release wakes the thread that does it.
  static constexpr size_t kIdleBatch = 128;
  static constexpr std::chrono::seconds kIdleTime{3};
  static constexpr std::chrono::milliseconds kIdleSlack{
      250};  // the same for those whose time is over

  struct Environment {
    meta::MetadataService* metadata;
    const volumes::VolumeSet* volumes;
    Transport* transport;
    SessionId session;
  };

  // Takes over the records that `state` holds.
  OpenTable(const Environment& environment, ConnectionState& state);
  ~OpenTable();

  // The reply to an open: how the kernel shall do I/O on it.
  struct Opened {
    int32_t backing_id = 0;   // 0: no passthrough
    bool direct_io = false;   // through the daemon, past a backing that cannot serve this open
    uint64_t size_bytes = 0;  // of the file, when it was first opened
  };
  enum class Mode { kRead, kWrite };
  // Counts an open of the inode, and gets the write grant for the first writer. `created`: the
  // location as MetadataService::Create returned it, with the grant. `prefer_daemon`: the daemon
  // must see this open's writes.
  Result<Opened> Open(const meta::CallContext& ctx, InodeId inode, Mode mode, bool prefer_daemon,
                      const meta::Location* created = nullptr);
  // Counts a release. The last writer's commits size and times to metadata.
  Status Release(const meta::CallContext& ctx, InodeId inode, Mode mode);

  // An open that counted as writing is for reading only (open with O_CREAT | O_RDONLY): gives the
  // grant back.
  Status MakeReader(const meta::CallContext& ctx, InodeId inode);

  // The open file, locked, if the mount has it open or idle.
  std::optional<OpenFileRef> Find(InodeId inode);
  // A descriptor of the object of an open file. kStale: the mount does not have it open.
  Result<std::shared_ptr<UniqueFd>> Descriptor(InodeId inode, bool writable);
  // The content of an open file as it is on its volume now. Needs the file's lock.
  Result<struct stat> Stat(OpenFile& file);

  // Lets go of the backing of a file that is idle: it was removed, or may now be executed.
  void DropIdle(InodeId inode);

  size_t open_inodes() const;

 private:
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<InodeId, std::shared_ptr<OpenFile>> files;
  };
  struct Idle {
    std::shared_ptr<OpenFile> file;
    uint64_t ticket;
    std::chrono::steady_clock::time_point since;
  };

  Shard& ShardOf(InodeId inode) { return shards_[std::hash<InodeId>{}(inode) % shards_.size()]; }
  Result<OpenFileRef> FindOrAdd(InodeId inode);
  // `created`: the object is not there yet, unless the request is a repetition.
  Status BindObject(OpenFile& file, const meta::Location& location, bool writable, bool created);
  Status EndWriting(const meta::CallContext& ctx, OpenFile& file);
  void Register(OpenFile& file, UniqueFd fd, bool writable);
  void GoIdle(std::shared_ptr<OpenFile> file);
  void Remove(OpenFile& file);  // needs its lock
  void SetCounts(const meta::CallContext& ctx, OpenFile& file, OpenCounts after);
  // The request is one that a daemon before this one had counted, and had not answered.
  bool AlreadyCounted(const meta::CallContext& ctx);
  void LearnCountedRequests();
  void LearnAtime(OpenFile& file);
  void Unbind(OpenFile& file);
  OpenRecord* TakeRecord(InodeId inode);
  void IdleLoop();

  const Environment env_;
  ConnectionState& state_;
  std::array<Shard, 64> shards_;

  std::mutex counted_mutex_;
  std::unordered_set<uint64_t>
      counted_requests_;                 // by daemons before this one; guarded by counted_mutex_
  std::atomic<size_t> counted_left_{0};  // its size, to spare the lock

  std::mutex free_mutex_;
  std::vector<uint32_t> free_records_;  // given back; guarded by free_mutex_
  uint32_t next_record_ = 0;            // never used so far; guarded by free_mutex_

  std::mutex idle_mutex_;
  std::condition_variable idle_changed_;
  std::deque<Idle> idle_;  // oldest first
  uint64_t next_ticket_ = 1;
  bool stopping_ = false;
  std::thread idle_thread_;
};

}  // namespace pxfs::fs
