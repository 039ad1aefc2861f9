#include "volumes/returned_volume.h"

#include <algorithm>
#include <set>

#include "base/logging.h"
#include "volumes/scrub.h"
#include "volumes/shown_path.h"

namespace pxfs::volumes {
namespace {

using meta::Replica;
using meta::ReplicaState;

constexpr int kAttempts = 5;

// Anything else than the content as metadata knows it, seen without reading it.
Result<bool> MayDiffer(const Volume& volume, const meta::Attr& attr, const Replica& replica) {
  const auto st = volume.StatObject({attr.inode, replica.object_generation});
  if (!st && st.error() == Code::kNotFound) return replica.materialized;
  if (!st) return Fail(st.error());
  return LooksChanged(*st, attr);
}

class FileLook {
 public:
  FileLook(meta::MetadataService& metadata, const VolumeSet& volumes, InodeId inode,
           const SettleOptions& options)
      : metadata_(metadata), volumes_(volumes), inode_(inode), options_(options) {}

  Result<ReturnedContent> Run() {
    ReturnedContent worst = ReturnedContent::kSame;
    PXFS_ASSIGN(const auto file, Locate());
    if (!file) return worst;
    for (const Replica& replica : file->replicas) {
      if (!IsUnsettled(replica)) continue;
      PXFS_ASSIGN(const ReturnedContent found, LookOn(replica.volume));
      worst = std::max(worst, found);
    }
    return worst;
  }

 private:
  bool IsUnsettled(const Replica& replica) const {
    return replica.state == ReplicaState::kCurrent &&
           (replica.volume == options_.also || volumes_.Unsettled(replica.volume));
  }

  // Nothing: it is gone, or is changed now.
  Result<std::optional<meta::Location>> Locate() {
    auto file = metadata_.Locate({}, inode_);
    if (!file && file.error() == Code::kNotFound) return std::optional<meta::Location>();
    if (!file) return Fail(file.error());
    if (!file->attr.is_regular() || file->attr.open_for_write)
      return std::optional<meta::Location>();
    return std::optional(std::move(*file));
  }

  // Again where the file was changed while it was read.
  Result<ReturnedContent> LookOn(VolumeId returned) {
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      PXFS_ASSIGN(const auto file, Locate());
      const auto volume = volumes_.Find(returned);
      if (!file || !volume) return ReturnedContent::kSame;
      const auto replica =
          std::find_if(file->replicas.begin(), file->replicas.end(),
                       [&](const Replica& r) { return r.volume == returned && IsUnsettled(r); });
      // Somebody else was faster.
      if (replica == file->replicas.end()) return ReturnedContent::kReplaced;
      PXFS_ASSIGN(const bool differs, MayDiffer(*volume, file->attr, *replica));
      if (!differs) return ReturnedContent::kSame;
      // Reading it would make what is there the content.
      if (!replica->checksum) {
        if (options_.tell)
          log::error("{}: what volume {} is back with may be older, and nothing is there to tell",
                     ShownPath(metadata_, inode_), volume->name());
        return ReturnedContent::kOlder;
      }
      PXFS_ASSIGN(const auto found, Read(*file, *replica, *volume));
      if (found) return *found;
    }
    return Fail(Code::kStale, "the file changes while it is looked at");
  }

  Result<std::optional<ReturnedContent>> Read(const meta::Location& file, const Replica& replica,
                                              const Volume& volume) {
    using Found = std::optional<ReturnedContent>;
    PXFS_ASSIGN(const ScrubOutcome read,
                ScrubFile(metadata_, volumes_, inode_, {.progress = options_.progress}));
    for (const ScrubDamage& damage : read.damages) {
      if (damage.volume != replica.volume) continue;
      if (damage.replaceable) return Found(ReturnedContent::kReplaced);
      if (options_.tell)
        log::error("{}: on volume {}: {}; there is no other copy", ShownPath(metadata_, inode_),
                   volume.name(), damage.what);
      return Found(ReturnedContent::kOlder);
    }
    if (!read.good.contains(replica.volume)) return Found();
    // They were set while the volume was away. Where they stay, the next one reads it once more.
    const auto times =
        volume.SetTimes({inode_, replica.object_generation}, file.attr.atime, file.attr.mtime);
    if (!times)
      log::warn("volume {}: the times of inode {}: {}", volume.name(), inode_.value,
                times.error().message());
    return Found(ReturnedContent::kSame);
  }

  meta::MetadataService& metadata_;
  const VolumeSet& volumes_;
  const InodeId inode_;
  const SettleOptions& options_;
};

}  // namespace

Result<ReturnedContent> SettleReturned(meta::MetadataService& metadata, const VolumeSet& volumes,
                                       InodeId inode, const SettleOptions& options) {
  return FileLook(metadata, volumes, inode, options).Run();
}

}  // namespace pxfs::volumes
