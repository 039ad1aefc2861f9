#include "meta/content_epochs.h"

#include <unistd.h>

#include "base/unique_fd.h"
#include "meta/counters.h"
#include "meta/keys.h"

namespace pxfs::meta {
namespace {

// Counters; docs/formats.md.
constexpr const char* kCurrent = "content epoch";
constexpr const char* kDurable = "durable epoch";
constexpr const char* kBoot = "boot";

}  // namespace

Status ContentEpochs::Load(KvEngine& engine, bool closed_in_order) {
  std::string last_boot;
  PXFS_TRY(engine.Get(keys::Counter(kBoot), &last_boot));
  // Where it cannot be read, every opening after a crash counts as one after a loss of power.
  static std::atomic<uint64_t> unknown{0};
  boot_ = ReadFile("/proc/sys/kernel/random/boot_id")
              .value_or("unknown " + std::to_string(::getpid()) + " " + std::to_string(++unknown));
  PXFS_ASSIGN(const auto current, ReadCounter(engine, kCurrent));
  PXFS_ASSIGN(const auto durable, ReadCounter(engine, kDurable));
  const uint64_t last = current.value_or(0);
  durable_ = durable.value_or(0);
  // Of the last one nothing was stamped if all before it had ended: see End.
  const bool all_durable = closed_in_order && durable_ + 1 >= last;
  power_was_lost_ = last_boot != boot_ && last != 0 && !all_durable;
  current_ = last + 1;
  PXFS_TRY(WriteCounter(engine, kCurrent, current_));
  return power_was_lost_ || last_boot == boot_ ? Status() : Settled(engine);
}

uint64_t ContentEpochs::Stamp() {
  const uint64_t epoch = current_;
  last_stamped_ = epoch;
  return epoch;
}

Result<uint64_t> ContentEpochs::End(KvEngine& engine) {
  const uint64_t ended = current_;
  // An epoch that another process began and did not end counts as stamped.
  if (last_stamped_ < ended && durable_ + 1 >= ended) return 0;
  current_ = ended + 1;
  PXFS_TRY(WriteCounter(engine, kCurrent, ended + 1));
  return ended;
}

Status ContentEpochs::SetDurable(KvEngine& engine, uint64_t epoch) {
  PXFS_TRY(WriteCounter(engine, kDurable, epoch));
  durable_ = epoch;
  return {};
}

Status ContentEpochs::Close(KvEngine& engine) {
  if (last_stamped_ < current_) return {};
  current_ = current_ + 1;
  return WriteCounter(engine, kCurrent, current_);
}

Status ContentEpochs::Settled(KvEngine& engine) {
  PXFS_TRY(engine.Commit({}, {{keys::Counter(kBoot), boot_}}, [] {}));
  power_was_lost_ = false;
  return {};
}

}  // namespace pxfs::meta
