// ConnectionState: what must outlive a daemon so that the next one can go on with the same mount.
// It lies in memory that the supervisor holds (a memfd), mapped by each daemon in turn: the
// kernel's INIT request, the metadata session, and the table of open inodes with their backing ids.
//
// A record is changed by one thread at a time (the open table's lock on that inode) and in an order
// that leaves it usable at every instruction, since a daemon may die between any two.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pxfs::fs {

// An inode that is open in the kernel, or whose backing is kept registered for a next open.
struct OpenRecord {
  std::atomic<uint64_t> inode;  // 0: the record is free; set last, cleared first
  uint64_t volume;
  uint64_t object_generation;
  int32_t backing_id;  // 0: none
  uint32_t backing_writable;
  std::atomic<uint64_t> counts;  // OpenCounts, in one word so that both change at once
  uint64_t reserved[3];
};
static_assert(sizeof(OpenRecord) == 64);

// How many files the kernel has open of an inode, and how many of those may write; the session has
// the write grant while there are any.
struct OpenCounts {
  uint32_t opens = 0;
  uint32_t writers = 0;

  static OpenCounts Unpack(uint64_t word) {
    return {static_cast<uint32_t>(word >> 32), static_cast<uint32_t>(word)};
  }
  uint64_t Pack() const { return static_cast<uint64_t>(opens) << 32 | writers; }
};

// The change of counts that a thread is making, or made last. The kernel sends a request again that
// a dead daemon had not answered; this tells the next daemon whether it had been counted.
struct CountChange {
  std::atomic<uint64_t> request;  // the kernel's number of it; 0: none. Set last
  std::atomic<uint64_t> record;   // index of the OpenRecord
  std::atomic<uint64_t> after;    // its counts, once changed
  std::atomic<uint64_t> done;     // 1: changed. 0: changed if the record's counts equal `after`
};

// How much the daemon uses, and may use at most, of what it has; 0: it does not say.
struct Usage {
  std::atomic<uint64_t> max_open, max_idle;              // inodes
  std::atomic<uint64_t> descriptors, max_descriptors;    // of objects
  std::atomic<uint64_t> buffer_bytes, max_buffer_bytes;  // that objects are read into
};

class ConnectionState {
 public:
  static constexpr uint32_t kVersion = 2;
  static constexpr size_t kMaxInit = 4096;
  static constexpr size_t kMaxOpenInodes = 1 << 20;
  static constexpr size_t kMaxThreads = 64;

  // A new, empty state in a memfd.
  static Result<std::unique_ptr<ConnectionState>> Create();
  // The state that an earlier daemon left in `fd`. kInvalid: made by another version.
  static Result<std::unique_ptr<ConnectionState>> Adopt(UniqueFd fd);
  ~ConnectionState();

  int fd() const { return fd_.get(); }

  // The kernel's INIT request, empty until SaveInit.
  std::span<const char> init_request() const;
  void SaveInit(std::span<const char> request);

  std::atomic<uint64_t>& session() { return header_->session; }
  // mount(2) has succeeded.
  bool mounted() const { return header_->mounted; }
  void SetMounted() { header_->mounted = true; }
  // The daemon has answered a request since the supervisor last asked: it is not one that dies
  // before it does anything.
  bool answered() const { return header_->answered.load(std::memory_order_relaxed); }
  void SetAnswered(bool value) { header_->answered.store(value, std::memory_order_relaxed); }
  // One a thread that serves requests.
  std::span<CountChange> count_changes() const { return header_->count_changes; }
  std::span<OpenRecord> open_records() const { return {records_, kMaxOpenInodes}; }
  // By the daemon that serves, or served last.
  Usage& usage() const { return header_->usage; }
  // Inodes that the kernel has open, and those that are only kept for a next open. Counted now, in
  // a few ms for a million.
  struct Inodes {
    uint64_t open = 0, idle = 0;
  };
  Inodes CountInodes() const;

 private:
  struct Header {
    uint32_t version;
    std::atomic<uint32_t> init_size;
    char init[kMaxInit];
    std::atomic<uint64_t> session;
    std::atomic<bool> mounted;
    std::atomic<bool> answered;
    CountChange count_changes[kMaxThreads];
    Usage usage;
  };

  ConnectionState(UniqueFd fd, void* mapping);

  UniqueFd fd_;
  void* mapping_;
  Header* header_;
  OpenRecord* records_;
};

}  // namespace pxfs::fs
