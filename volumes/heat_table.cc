#include "volumes/heat_table.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <boost/interprocess/file_mapping.hpp>
#include <boost/interprocess/mapped_region.hpp>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <ctime>

#include "base/hash.h"
#include "base/logging.h"
#include "base/unique_fd.h"

namespace pxfs::volumes {
namespace {

constexpr char kMagic[8] = {'p', 'x', 'f', 's', 'h', 'e', 'a', 't'};
constexpr uint32_t kVersion = 1;
constexpr size_t kWays = 8;
constexpr size_t kMinSlots = 8, kMaxSlots = size_t{1} << 24;
constexpr double kColdest = 0.01;  // of an open: what counts as none

// In place of an inode number while a slot is being taken: this bit and the time.
constexpr uint64_t kClaim = uint64_t{1} << 63;

// A value and the second it was true at, in one word.
uint64_t Pack(float value, uint32_t seconds) {
  return uint64_t{std::bit_cast<uint32_t>(value)} << 32 | seconds;
}
float ValueOf(uint64_t word) { return std::bit_cast<float>(static_cast<uint32_t>(word >> 32)); }
uint32_t SecondsOf(uint64_t word) { return static_cast<uint32_t>(word); }

}  // namespace

struct HeatTable::Header {
  char magic[8];
  uint32_t version;
  uint32_t half_life_seconds;
  uint64_t slots;
  uint64_t reserved[5];
};

// The inodes of a bucket share a cache line, so that a file is found with one miss.
struct alignas(64) HeatTable::Bucket {
  std::atomic<uint64_t> inodes[kWays];  // 0: empty; kClaim and a time: being taken
  std::atomic<uint64_t> opens[kWays];
  std::atomic<uint64_t> bytes[kWays];
};

struct HeatTable::Mapping {
  boost::interprocess::file_mapping file;
  boost::interprocess::mapped_region region;
};

HeatTable::HeatTable(std::unique_ptr<Mapping> mapping)
    : mapping_(std::move(mapping)),
      header_(static_cast<Header*>(mapping_->region.get_address())),
      buckets_(reinterpret_cast<Bucket*>(header_ + 1)) {
  static_assert(sizeof(Header) == 64 && sizeof(Bucket) == 192);
  static_assert(std::atomic<uint64_t>::is_always_lock_free);
}

HeatTable::~HeatTable() = default;

Result<std::unique_ptr<HeatTable>> HeatTable::Map(const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) != 0) return FailErrno(errno, path);
  const auto damaged = [&](const std::string& how) {
    return Fail(Code::kCorruption, path + ": not a heat table (" + how + ")");
  };
  if (static_cast<size_t>(st.st_size) < sizeof(Header)) return damaged("too short");
  auto mapping = std::make_unique<Mapping>();
  try {
    namespace ipc = boost::interprocess;
    mapping->file = ipc::file_mapping(path.c_str(), ipc::read_write);
    mapping->region = ipc::mapped_region(mapping->file, ipc::read_write);
  } catch (const boost::interprocess::interprocess_exception& error) {
    return FailErrno(error.get_native_error(), path);
  }
  std::unique_ptr<HeatTable> table(new HeatTable(std::move(mapping)));
  const Header& header = *table->header_;
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) return damaged("foreign");
  if (header.version > kVersion)
    return Fail(Code::kInvalid, path + ": made by a newer version of pxfs");
  if (header.version < kVersion) return damaged("of an older version");
  if (!std::has_single_bit(header.slots) || header.slots < kMinSlots || header.slots > kMaxSlots ||
      header.half_life_seconds == 0 ||
      table->mapping_->region.get_size() != sizeof(Header) + header.slots / kWays * sizeof(Bucket))
    return damaged("of a wrong size");
  return table;
}

Result<std::unique_ptr<HeatTable>> HeatTable::OpenExisting(const std::string& path) {
  return Map(path);
}

Result<std::unique_ptr<HeatTable>> HeatTable::Open(const std::string& path,
                                                   const Options& options) {
  auto mapped = Map(path);
  if (mapped) return mapped;
  if (mapped.error() == Code::kCorruption) {
    log::warn("{}; starting a new one", mapped.error().message());
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return FailErrno(errno, path);
  } else if (mapped.error() != Code::kNotFound) {
    return mapped;
  }
  // Complete before it has its name; where two processes make one, the first one's it is. Its
  // blocks are taken now: a full disk must not show as a fault in the mapping.
  const std::string temporary = path + "." + std::to_string(::getpid());
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.version = kVersion;
  header.half_life_seconds = std::max(1u, options.half_life_seconds);
  header.slots = std::bit_ceil(std::clamp(options.slots, kMinSlots, kMaxSlots));
  const auto size = static_cast<off_t>(sizeof header + header.slots / kWays * sizeof(Bucket));
  const auto make = [&]() -> Status {
    PXFS_ASSIGN(UniqueFd fd, OpenAt(AT_FDCWD, temporary, O_RDWR | O_CREAT | O_TRUNC, 0600));
    PXFS_TRY(WriteAll(fd.get(), {reinterpret_cast<const char*>(&header), sizeof header}));
    if (const int error = ::posix_fallocate(fd.get(), 0, size); error != 0)
      return FailErrno(error, temporary);
    if (::link(temporary.c_str(), path.c_str()) != 0 && errno != EEXIST)
      return FailErrno(errno, path);
    return {};
  };
  const Status made = make();
  ::unlink(temporary.c_str());
  if (!made) return Fail(made.error());
  return Map(path);
}

size_t HeatTable::slots() const noexcept { return header_->slots; }
uint32_t HeatTable::half_life_seconds() const noexcept { return header_->half_life_seconds; }

uint32_t HeatTable::Now() const noexcept {
  if (fixed_seconds_ != 0) return fixed_seconds_;
  // Of the wall, since the table outlives the machine's uptime.
  timespec now;
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return static_cast<uint32_t>(now.tv_sec);
}

HeatTable::Bucket& HeatTable::BucketOf(InodeId inode) const noexcept {
  const uint64_t hash =
      Hash64({reinterpret_cast<const char*>(&inode.value), sizeof inode.value}, 0);
  return buckets_[hash & (header_->slots / kWays - 1)];
}

double HeatTable::Decayed(uint64_t word, uint32_t now) const noexcept {
  const double value = ValueOf(word);
  // A clock that was set back makes nothing hotter.
  if (!(value > 0) || !std::isfinite(value)) return 0;
  const uint32_t since = SecondsOf(word);
  if (now <= since) return value;
  return std::ldexp(value, -static_cast<int>((now - since) / header_->half_life_seconds)) *
         std::exp2(-static_cast<double>((now - since) % header_->half_life_seconds) /
                   header_->half_life_seconds);
}

void HeatTable::Add(std::atomic<uint64_t>& word, double amount, uint32_t now) const noexcept {
  uint64_t before = word.load(std::memory_order_relaxed);
  uint64_t after;
  do {
    after = Pack(static_cast<float>(Decayed(before, now) + amount), now);
  } while (!word.compare_exchange_weak(before, after, std::memory_order_relaxed));
}

// The slot that is the inode's from now on; -1: all others in the bucket are hotter than one open.
int HeatTable::TakeSlot(Bucket& bucket, InodeId inode, uint32_t now) const noexcept {
  for (;;) {
    int best = -1;
    uint64_t best_inode = 0;
    double best_heat = 1.0;
    for (size_t i = 0; i < kWays; ++i) {
      const uint64_t there = bucket.inodes[i].load(std::memory_order_acquire);
      if (there == inode.value) return static_cast<int>(i);
      double heat = 0;
      if (there & kClaim) {
        const uint32_t since = SecondsOf(there);
        if (now - since < kClaimSeconds) continue;  // somebody is at it
      } else if (there != 0) {
        heat = Decayed(bucket.opens[i].load(std::memory_order_relaxed), now);
      }
      if (heat >= best_heat) continue;
      best = static_cast<int>(i);
      best_inode = there;
      best_heat = heat;
      if (there == 0) break;
    }
    if (best < 0) return -1;
    if (!bucket.inodes[best].compare_exchange_strong(best_inode, kClaim | now)) continue;
    bucket.opens[best].store(0, std::memory_order_relaxed);
    bucket.bytes[best].store(0, std::memory_order_relaxed);
    bucket.inodes[best].store(inode.value, std::memory_order_release);
    return best;
  }
}

void HeatTable::Count(InodeId inode, double opens, double bytes) noexcept {
  if (!inode || (inode.value & kClaim)) return;
  const uint32_t now = Now();
  Bucket& bucket = BucketOf(inode);
  int slot = -1;
  for (size_t i = 0; i < kWays && slot < 0; ++i)
    if (bucket.inodes[i].load(std::memory_order_acquire) == inode.value) slot = static_cast<int>(i);
  if (slot < 0) slot = TakeSlot(bucket, inode, now);
  if (slot < 0) return;
  if (opens > 0) Add(bucket.opens[slot], opens, now);
  if (bytes > 0) Add(bucket.bytes[slot], bytes, now);
}

void HeatTable::CountOpen(InodeId inode, uint64_t bytes) noexcept {
  Count(inode, 1, static_cast<double>(bytes));
}

void HeatTable::CountBytes(InodeId inode, uint64_t bytes) noexcept {
  Count(inode, 0, static_cast<double>(bytes));
}

Heat HeatTable::Get(InodeId inode) const noexcept {
  Heat heat{inode};
  const uint32_t now = Now();
  const Bucket& bucket = BucketOf(inode);
  for (size_t i = 0; i < kWays; ++i) {
    if (bucket.inodes[i].load(std::memory_order_acquire) != inode.value) continue;
    heat.opens = Decayed(bucket.opens[i].load(std::memory_order_relaxed), now);
    heat.bytes = Decayed(bucket.bytes[i].load(std::memory_order_relaxed), now);
  }
  return heat;
}

std::vector<Heat> HeatTable::Hottest(size_t limit) const {
  const uint32_t now = Now();
  std::vector<Heat> all;
  for (size_t b = 0; b < header_->slots / kWays; ++b) {
    const Bucket& bucket = buckets_[b];
    for (size_t i = 0; i < kWays; ++i) {
      const uint64_t inode = bucket.inodes[i].load(std::memory_order_acquire);
      if (inode == 0 || (inode & kClaim)) continue;
      const double opens = Decayed(bucket.opens[i].load(std::memory_order_relaxed), now);
      if (opens < kColdest) continue;
      all.push_back(
          {InodeId(inode), opens, Decayed(bucket.bytes[i].load(std::memory_order_relaxed), now)});
    }
  }
  const auto hotter = [](const Heat& a, const Heat& b) {
    return a.opens != b.opens ? a.opens > b.opens : a.inode < b.inode;
  };
  limit = std::min(limit, all.size());
  std::partial_sort(all.begin(), all.begin() + static_cast<ptrdiff_t>(limit), all.end(), hotter);
  all.resize(limit);
  return all;
}

}  // namespace pxfs::volumes
