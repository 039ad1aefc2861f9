#include "volumes/replicator.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/logging.h"

namespace pxfs::volumes {
namespace {

using Clock = std::chrono::steady_clock;

// Between two looks at the queue.
constexpr auto kLook = std::chrono::milliseconds(200);
// Until something that was in the way is looked at again.
constexpr auto kRetry = std::chrono::seconds(2);
constexpr uint32_t kBatch = 256;

// Who reads files comes first. Source: ioprio_set(2).
void BeIdle() {
  constexpr int kProcess = 1, kIdleClass = 3, kClassShift = 13;
  if (::syscall(SYS_ioprio_set, kProcess, 0, kIdleClass << kClassShift) != 0)
    log::warn("copying at ordinary I/O priority: {}", std::strerror(errno));
}

}  // namespace

Result<std::unique_ptr<Replicator>> Replicator::Start(meta::MetadataService& metadata,
                                                      const VolumeSet& volumes) {
  PXFS_ASSIGN(const SessionId session, metadata.OpenSession({"replicator", {}, nullptr}));
  return std::unique_ptr<Replicator>(new Replicator(metadata, volumes, session));
}

Replicator::Replicator(meta::MetadataService& metadata, const VolumeSet& volumes, SessionId session)
    : metadata_(metadata),
      session_(session),
      copies_(metadata, volumes, session),
      thread_([this] { Loop(); }) {}

Replicator::~Replicator() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  thread_.join();
  if (const auto closed = metadata_.CloseSession(session_); !closed)
    log::warn("closing the replicator's session: {}", closed.error().message());
}

bool Replicator::stopping() const {
  std::lock_guard lock(mutex_);
  return stopping_;
}

// Waits; false as soon as the end has begun.
bool Replicator::Pause() {
  std::unique_lock lock(mutex_);
  return !stop_.wait_for(lock, kLook, [this] { return stopping_; });
}

void Replicator::Loop() {
  ::prctl(PR_SET_NAME, "pxfs-copies");
  BeIdle();
  do {
    for (const auto work : {&Replicator::WorkOnQueue, &Replicator::WorkOnDrains}) {
      const Status done = (this->*work)();
      if (!done && !stopping()) log::warn("copies: {}", done.error().message());
    }
  } while (Pause());
}

Status Replicator::WorkOnQueue() {
  std::string after;
  for (;;) {
    PXFS_ASSIGN(const auto records, metadata_.ScanRecords(meta::kCopyQueuePrefix, after, kBatch));
    for (const meta::Record& record : records) {
      if (stopping()) return {};
      after = record.key.substr(meta::kCopyQueuePrefix.size());
      const auto item = meta::ParseCopyItem(record.key);
      if (!item) return Fail(Code::kCorruption, "not a queued copy: " + record.key);
      const auto later = not_before_.find(record.key);
      if (later != not_before_.end() && Clock::now() < later->second) continue;
      PXFS_TRY(WorkOn(*item));
    }
    if (records.size() < kBatch) return {};
  }
}

Status Replicator::WorkOn(const meta::CopyItem& item) {
  const std::string key = meta::KeyOf(item);
  auto outcome = copies_.Settle(item.inode, [this] { return stopping(); });
  if (!outcome) {
    if (outcome.error() == Code::kInterrupted) return {};
    log::warn("copies of inode {}: {}", item.inode.value, outcome.error().message());
    outcome = CopyOutcome::kLater;
  }
  if (*outcome == CopyOutcome::kLater) {
    not_before_[key] = Clock::now() + kRetry;
    return {};
  }
  if (item.reason == meta::CopyReason::kPlace) PXFS_TRY(QueueChildren(item.inode));
  not_before_.erase(key);
  const meta::RecordWrite gone{key, std::nullopt};
  return metadata_.WriteRecords(std::span(&gone, 1), /*sync=*/false);
}

// What a directory holds is queued before the directory's own item goes.
Status Replicator::QueueChildren(InodeId directory) {
  const meta::CallContext ctx{.session = session_};
  const auto attr = metadata_.GetAttr(ctx, directory);
  if (!attr && attr.error() == Code::kNotFound) return {};
  if (!attr) return Fail(attr.error());
  if (!attr->is_directory()) return {};
  for (uint64_t cookie = 0;;) {
    PXFS_ASSIGN(const meta::DirPage page,
                metadata_.ReadDirectory(ctx, directory, cookie, kBatch, false));
    std::vector<meta::RecordWrite> items;
    for (const meta::DirEntry& entry : page.entries) {
      cookie = entry.cookie;
      if (entry.attr.is_directory() || entry.attr.is_regular())
        items.push_back({meta::KeyOf({meta::CopyReason::kPlace, entry.attr.inode, 0}), ""});
    }
    PXFS_TRY(metadata_.WriteRecords(items, /*sync=*/false));
    if (page.end || page.entries.empty()) return {};
  }
}

Status Replicator::WorkOnDrains() {
  PXFS_ASSIGN(const auto volumes, metadata_.ListVolumes());
  for (const meta::VolumeInfo& volume : volumes) {
    if (volume.state == meta::VolumeState::kDraining) PXFS_TRY(Drain(volume.id));
  }
  return {};
}

// One pass over what lies there; the index of the volume is the list of what is left.
Status Replicator::Drain(VolumeId volume) {
  for (InodeId after;;) {
    PXFS_ASSIGN(const auto inodes, metadata_.ListVolumeInodes(volume, after, kBatch));
    for (const InodeId inode : inodes) {
      if (stopping()) return {};
      after = inode;
      const auto settled = copies_.Settle(inode, [this] { return stopping(); });
      if (!settled && !(settled.error() == Code::kInterrupted))
        log::warn("draining: inode {}: {}", inode.value, settled.error().message());
    }
    if (inodes.size() < kBatch) return {};
  }
}

}  // namespace pxfs::volumes
