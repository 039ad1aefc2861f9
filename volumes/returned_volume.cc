#include "volumes/returned_volume.h"

#include <algorithm>

#include "base/logging.h"
#include "volumes/scrub.h"
#include "volumes/shown_path.h"

namespace pxfs::volumes {
namespace {

using meta::Replica;
using meta::ReplicaState;

// Anything else than the content as metadata knows it, seen without reading it. Times may be set
// without a write, so a difference is a reason to read.
Result<bool> MayDiffer(const Volume& volume, const meta::Attr& attr, const Replica& replica) {
  const auto st = volume.StatObject({attr.inode, replica.object_generation});
  if (!st && st.error() == Code::kNotFound) return replica.materialized;
  if (!st) return Fail(st.error());
  return static_cast<uint64_t>(st->st_size) != attr.size_bytes ||
         ToTimestamp(st->st_mtim) != attr.mtime;
}

}  // namespace

Result<bool> CompareReturnedFile(meta::MetadataService& metadata, const VolumeSet& volumes,
                                 InodeId inode, VolumeId returned,
                                 const std::function<bool(VolumeId, uint64_t)>& progress) {
  const auto file = metadata.Locate({}, inode);
  if (!file && file.error() == Code::kNotFound) return true;
  if (!file) return Fail(file.error());
  const meta::Attr& attr = file->attr;
  if (!attr.is_regular() || attr.open_for_write) return true;
  const auto replica = std::find_if(
      file->replicas.begin(), file->replicas.end(),
      [&](const Replica& r) { return r.volume == returned && r.state == ReplicaState::kCurrent; });
  const auto volume = volumes.Find(returned);
  if (replica == file->replicas.end() || !volume) return true;
  PXFS_ASSIGN(const bool differs, MayDiffer(*volume, attr, *replica));
  if (!differs) return true;
  // Reading it would make what is there the content.
  if (!replica->checksum) {
    log::warn("{}: what volume {} is back with may be older, and nothing is there to tell",
              ShownPath(metadata, inode), volume->name());
    return false;
  }
  PXFS_ASSIGN(const ScrubOutcome scrubbed,
              ScrubFile(metadata, volumes, inode, {.progress = progress}));
  bool good = true;
  for (const ScrubDamage& damage : scrubbed.damages) {
    if (damage.volume == returned) good = false;
    if (!damage.replaceable)
      log::error("{}: on volume {}: {}; there is no other copy", ShownPath(metadata, inode),
                 volumes.NameOf(damage.volume), damage.what);
  }
  return good;
}

}  // namespace pxfs::volumes
