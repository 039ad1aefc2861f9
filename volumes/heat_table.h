// HeatTable: how much each file is wanted on this node: decayed counts of opens and of bytes.
//
// One table a node, in a file that every process maps which opens files or looks at heat (mounts,
// the job service, `pxfs hot`). Format: docs/formats.md.
//
// 1. Bounded: a fixed number of slots, in buckets of eight. A file that is not in the table takes
//    an empty slot of its bucket, or that of the coldest file there once this has cooled to below
//    what one open counts.
// 2. Lock-free: a count is one compare-and-swap on one word that holds value and time together, so
//    that decay needs no pass over the table.
// 3. Crash-safe: every word is right by itself at every moment. A slot that a process was taking
//    when it died is taken by another after kClaimSeconds.
// 4. Heat is a hint. Two files that change places in a slot may get a count of each other, and
//    counts may be lost when two processes take the same file up at the same moment.
//
// The table outlives daemons and, as a file, a restart of the machine; what happened just before a
// power cut may be missing. Thread-safe, also between processes; nothing blocks but Open.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace pxfs::volumes {

// What has been counted, as of now: a count is worth one when it is made and half of that after
// each half-life.
struct Heat {
  InodeId inode;
  double opens = 0;
  double bytes = 0;
};

class HeatTable {
 public:
  struct Options {
    size_t slots = 1 << 16;  // rounded up to a power of two, of eight at least; 24 bytes each
    uint32_t half_life_seconds = 60;
  };
  static constexpr uint32_t kClaimSeconds = 10;

  // Maps the table at `path`, and makes it if it is not there; `options` are of a new one. A table
  // of an older version, or a damaged one, is replaced: heat can be lost. kInvalid: made by a newer
  // version. kNoSpace, kIo.
  static Result<std::unique_ptr<HeatTable>> Open(const std::string& path, const Options& options);
  // As Open, but kNotFound where there is no table.
  static Result<std::unique_ptr<HeatTable>> OpenExisting(const std::string& path);
  ~HeatTable();

  // An open of the file by which `bytes` can be read, or have been.
  void CountOpen(InodeId inode, uint64_t bytes) noexcept;
  // Bytes that were read or written in an open that is counted already.
  void CountBytes(InodeId inode, uint64_t bytes) noexcept;

  Heat Get(InodeId inode) const noexcept;
  // The files with the most opens, hottest first; files of less than a hundredth of an open are
  // left out.
  std::vector<Heat> Hottest(size_t limit) const;

  size_t slots() const noexcept;
  uint32_t half_life_seconds() const noexcept;

  // Instead of the clock, for tests and simulations: seconds, ascending.
  void SetTime(uint32_t seconds) noexcept { fixed_seconds_ = seconds; }

 private:
  struct Mapping;  // Boost.Interprocess
  struct Header;
  struct Bucket;

  explicit HeatTable(std::unique_ptr<Mapping> mapping);
  static Result<std::unique_ptr<HeatTable>> Map(const std::string& path);

  Bucket& BucketOf(InodeId inode) const noexcept;
  void Count(InodeId inode, double opens, double bytes) noexcept;
  uint32_t Now() const noexcept;
  double Decayed(uint64_t word, uint32_t now) const noexcept;
  void Add(std::atomic<uint64_t>& word, double amount, uint32_t now) const noexcept;
  int TakeSlot(Bucket& bucket, InodeId inode, uint32_t now) const noexcept;

  std::unique_ptr<Mapping> mapping_;
  Header* header_;
  Bucket* buckets_;
  uint32_t fixed_seconds_ = 0;  // 0: the clock
};

}  // namespace pxfs::volumes
