// Access times. Those of regular files are the kernel's work, on the objects; those of directories
// and symlinks are in metadata.
#include "base/access_times.h"

#include <ctime>

#include "base/logging.h"
#include "fs/file_system.h"

namespace pxfs::fs {
namespace {

constexpr int64_t kDaySeconds = 24 * 60 * 60;

// As relatime_need_update() of Linux.
bool IsOutOfDate(const meta::Attr& attr, const meta::Timestamp& now) {
  return attr.atime <= attr.mtime || attr.atime <= attr.ctime ||
         now.seconds - attr.atime.seconds >= kDaySeconds;
}

}  // namespace

void FileSystem::SetAccessTimes(const AccessTimes& rule) {
  access_times_ = rule;
  volumes_.SetAccessTimes(rule);
}

void FileSystem::MoveAccessTime(InodeId inode, Accessed what) {
  const AccessTimes rule = access_times_;
  if (rule.rule == AccessTimes::Rule::kNever) return;
  if (what == Accessed::kDirectory && !rule.directories) return;
  const meta::CallContext ctx{.session = session_};
  auto attr = metadata_.GetAttr(ctx, inode);
  const auto tell = [inode](const Error& error) {
    // As Linux does it, reading does not fail for that. It may have been removed meanwhile.
    if (error.code() != Code::kNotFound)
      log::warn("inode {}: moving its access time: {}", inode.value, error.message());
  };
  if (!attr) return tell(attr.error());
  // The clock of the other times, so that they can be compared.
  struct timespec now;
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  meta::AttrChange change;
  change.atime = volumes::ToTimestamp(now);
  change.atime_only = true;
  if (rule.rule == AccessTimes::Rule::kRelative && !IsOutOfDate(*attr, *change.atime)) return;
  if (auto moved = metadata_.SetAttr(ctx, inode, change); !moved) tell(moved.error());
}

}  // namespace pxfs::fs
