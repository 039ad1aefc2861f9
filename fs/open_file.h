// OpenFile: one inode that this mount has open, or had open a moment ago (OpenTable).
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>

#include "base/ids.h"
#include "base/unique_fd.h"
#include "fs/connection_state.h"
#include "meta/types.h"
#include "volumes/volume.h"

namespace pxfs::fs {

class OpenFile : public std::enable_shared_from_this<OpenFile> {
 public:
  OpenFile(InodeId id, OpenRecord* shared_record) : inode(id), record(shared_record) {}

  const InodeId inode;
  std::mutex mutex;                 // guards everything below
  std::condition_variable settled;  // a Turn has ended
  bool taken = false;               // somebody has the Turn
  bool let_go = false;              // DropIdle came meanwhile
  OpenRecord* const record;
  // Truncations under way: writers that a successor shall know nothing of, since their requests
  // come again as a whole.
  uint32_t internal_writers = 0;
  // From an earlier daemon, with writers: it may have given the write grant back and died before it
  // could count that.
  bool grant_unsure = false;
  bool granted_again = false;  // because of that
  // Policy commit=close: so many copies shall be there when fsync and close return (OpenTable, 6);
  // else 0. kUnknown: an earlier daemon knew.
  static constexpr uint32_t kUnknown = ~0u;
  uint32_t commit_copies = 0;
  std::shared_mutex writes;  // held shared over a write of such a file, alone over its commit
  std::shared_ptr<volumes::Volume> volume;
  // Of the object, for what does not go by passthrough; opened when needed, closed when there are
  // too many (DescriptorPool). Shared, so that I/O under way keeps the one that it began with.
  std::shared_ptr<UniqueFd> fd;
  bool fd_writable = false;
  bool fd_used = false;                            // since the pool looked last
  bool pooled = false;                             // in its queue
  meta::Timestamp atime, mtime;                    // as metadata has them
  uint64_t size_bytes = 0;                         // when it was bound to its object
  std::chrono::steady_clock::time_point chosen{};  // when the object was chosen among the copies
  uint32_t loads = 0;  // opens that count in the volume's load, each with load_bytes
  uint64_t load_bytes = 0;
  bool executable = false;    // some execute bit is set
  uint32_t flags = 0;         // of the inode, as far as its writers are concerned
  bool name_durable = false;  // of the object, by an fsync here
  // What fdatasync need not write again: since the fsync that made the rest durable this has not
  // changed, and the file had this size then.
  std::optional<uint64_t> durable_size_bytes;
  // Counts what an fsync under way does not cover: another object, another write grant.
  uint64_t changes = 0;
  bool dead = false;         // out of the table: look up again
  uint64_t idle_ticket = 0;  // of its newest entry in the idle list

  volumes::ObjectName object() const { return {inode, record->object_generation}; }
  OpenCounts counts() const { return OpenCounts::Unpack(record->counts); }
  uint32_t opens() const { return counts().opens; }
  uint32_t writers() const { return counts().writers; }
  bool written() const { return writers() > 0 || internal_writers > 0; }
  void Changed() {
    ++changes;
    durable_size_bytes.reset();
  }
  bool in_use() const { return opens() > 0 || internal_writers > 0; }
};

// A locked OpenFile. Not to be kept over a change of metadata.
class OpenFileRef {
 public:
  OpenFileRef(std::shared_ptr<OpenFile> file, std::unique_lock<std::mutex> lock)
      : file_(std::move(file)), lock_(std::move(lock)) {}
  OpenFile* operator->() const { return file_.get(); }
  OpenFile& operator*() const { return *file_; }
  const std::shared_ptr<OpenFile>& shared() const { return file_; }

 private:
  std::shared_ptr<OpenFile> file_;
  std::unique_lock<std::mutex> lock_;
};

}  // namespace pxfs::fs
