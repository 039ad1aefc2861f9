#include "fs/commit_waiter.h"

#include <sys/prctl.h>

#include <algorithm>
#include <iterator>
#include <optional>

#include "base/logging.h"
#include "meta/placement.h"
#include "volumes/copy_settings.h"
#include "volumes/shown_path.h"

namespace pxfs::fs {
namespace {

using meta::Replica;
using meta::ReplicaState;

// Between two looks; and between two looks at whether there is room at all.
constexpr std::chrono::milliseconds kLook(10), kLookAtRoom(500);

}  // namespace

CommitWaiter::~CommitWaiter() { Stop(); }

void CommitWaiter::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void CommitWaiter::Await(InodeId inode, uint32_t copies, Done done) {
  {
    std::lock_guard lock(mutex_);
    added_.push_back({inode, copies, std::move(done)});
    if (!thread_.joinable()) thread_ = std::thread([this] { Loop(); });
  }
  changed_.notify_all();
}

void CommitWaiter::Loop() {
  ::prctl(PR_SET_NAME, "pxfs-commit");
  std::vector<Waiting> all;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      const auto woken = [this] { return stopping_ || !added_.empty(); };
      if (all.empty())
        changed_.wait(lock, woken);
      else
        changed_.wait_for(lock, kLook, woken);
      if (stopping_) return;
      std::move(added_.begin(), added_.end(), std::back_inserter(all));
      added_.clear();
    }
    std::erase_if(all, [this](Waiting& waiting) {
      const auto outcome = Look(waiting);
      if (outcome) waiting.done(*outcome);
      return outcome.has_value();
    });
  }
}

std::optional<Status> CommitWaiter::Look(Waiting& waiting) {
  const auto now = Clock::now();
  if (waiting.deadline == Clock::time_point()) {
    const auto settings = volumes::ReadCopySettings(metadata_);
    waiting.deadline = now + settings.value_or(volumes::CopySettings()).commit_timeout;
  }
  const bool late = now >= waiting.deadline;
  const auto file = metadata_.Locate({}, waiting.inode);
  if (!file && file.error() == Code::kNotFound) return Status();
  // Whoever has the store may be back in a moment.
  if (!file && !late) return std::nullopt;
  if (!file) return Fail(file.error());
  if (file->attr.nlink == 0) return Status();
  const auto good =
      std::count_if(file->replicas.begin(), file->replicas.end(), [&](const Replica& replica) {
        return replica.state == ReplicaState::kCurrent && volumes_.Find(replica.volume);
      });
  if (!file->attr.open_for_write && good >= static_cast<int64_t>(waiting.copies))
    return metadata_.Sync();
  if (now >= waiting.look_at_room) {
    waiting.look_at_room = now + kLookAtRoom;
    if (const Status room = CheckRoom(waiting, *file); !room) return room;
  }
  if (!late) return std::nullopt;
  return Fail(Code::kIo, volumes::ShownPath(metadata_, waiting.inode) + ": " +
                             std::to_string(good) + " of " + std::to_string(waiting.copies) +
                             " copies are there, and the rest could not be made in time");
}

// kNoSpace: there could be enough copies if volumes had room.
Status CommitWaiter::CheckRoom(const Waiting& waiting, const meta::Location& file) {
  const auto policy = metadata_.GetPolicy(waiting.inode);
  const auto volumes = metadata_.ListVolumes();
  if (!policy || !volumes) return {};  // it is looked at again
  uint32_t able = 0;
  std::string full;
  for (const meta::VolumeInfo& volume : *volumes) {
    const bool holds =
        std::any_of(file.replicas.begin(), file.replicas.end(), [&](const Replica& replica) {
          return replica.volume == volume.id && replica.state == ReplicaState::kCurrent;
        });
    const bool suits =
        file.wishes.volumes.contains(volume.id) || meta::SuitsPolicy(policy->effective, volume);
    if (!holds && !suits) continue;
    const Status can = holds ? Status() : meta::CanTakeCopy(volume, file.attr.size_bytes);
    // One that is away or closed may be back in time.
    if (!can && can.error() == Code::kNoSpace)
      full += (full.empty() ? "" : "; ") + can.error().message();
    else
      ++able;
  }
  if (able >= waiting.copies || full.empty()) return {};
  return Fail(Code::kNoSpace, volumes::ShownPath(metadata_, waiting.inode) + ": " +
                                  std::to_string(waiting.copies) +
                                  " copies cannot be made: " + full);
}

}  // namespace pxfs::fs
