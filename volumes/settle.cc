#include "volumes/settle.h"

#include <span>
#include <vector>

#include "base/logging.h"
#include "volumes/object_walk.h"

namespace pxfs::volumes {

Result<size_t> RemoveUnknownObjects(meta::StoreKeeper& keeper, const Volume& volume) {
  size_t removed = 0;
  std::vector<meta::ObjectRef> objects;
  PXFS_TRY(ForEachObject(volume, [&](std::span<const ObjectName> names) -> Status {
    objects.clear();
    for (const ObjectName& name : names)
      objects.push_back({name.inode, volume.id(), name.generation});
    PXFS_ASSIGN(const auto unknown, keeper.UnknownObjects(objects));
    for (const meta::ObjectRef& object : unknown) {
      const ObjectName name{object.inode, object.object_generation};
      PXFS_TRY(volume.RemoveObject(name));
      volume.PruneDirectory(name);
    }
    removed += unknown.size();
    return {};
  }));
  return removed;
}

Result<bool> Checkpoint(meta::StoreKeeper& keeper, meta::MetadataService& metadata,
                        const VolumeSet& volumes) {
  PXFS_ASSIGN(const auto listed, metadata.ListVolumes());
  std::vector<std::shared_ptr<Volume>> all;
  for (const meta::VolumeInfo& info : listed) {
    all.push_back(volumes.Find(info.id));
    if (!all.back()) return false;
  }
  PXFS_ASSIGN(const uint64_t checkpoint, keeper.BeginCheckpoint());
  if (checkpoint == 0) return false;
  for (const auto& volume : all) PXFS_TRY(volume->Sync());
  PXFS_TRY(keeper.EndCheckpoint(checkpoint));
  return true;
}

Result<size_t> SettlePowerLoss(meta::StoreKeeper& keeper, const VolumeSet& volumes) {
  size_t removed = 0;
  if (!keeper.PowerWasLost()) return removed;
  for (const auto& volume : volumes.All()) {
    PXFS_ASSIGN(const size_t count, RemoveUnknownObjects(keeper, *volume));
    if (count > 0)
      log::info("volume {}: deleted {} objects of files that a loss of power took", volume->name(),
                count);
    removed += count;
  }
  PXFS_TRY(keeper.PowerLossSettled());
  return removed;
}

}  // namespace pxfs::volumes
