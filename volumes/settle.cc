#include "volumes/settle.h"

#include <filesystem>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/logging.h"

namespace pxfs::volumes {
namespace {

namespace stdfs = std::filesystem;
constexpr size_t kBatch = 4096;

// The reverse of ObjectName::RelativePath, of the last part.
std::optional<ObjectName> ParseName(const std::string& name) {
  const size_t dash = name.find('-');
  if (dash == std::string::npos) return std::nullopt;
  const auto inode = FromHex(name.substr(0, dash));
  const auto generation = FromHex(name.substr(dash + 1));
  if (!inode || !generation) return std::nullopt;
  const ObjectName parsed{InodeId(*inode), *generation};
  return parsed.RelativePath().ends_with("/" + name) ? std::optional(parsed) : std::nullopt;
}

Result<size_t> RemoveUnknown(meta::StoreKeeper& keeper, const Volume& volume,
                             std::vector<meta::ObjectRef>* objects) {
  PXFS_ASSIGN(const auto unknown, keeper.UnknownObjects(*objects));
  objects->clear();
  for (const meta::ObjectRef& object : unknown) {
    const ObjectName name{object.inode, object.object_generation};
    PXFS_TRY(volume.RemoveObject(name));
    volume.PruneDirectory(name);
  }
  return unknown.size();
}

Result<size_t> Sweep(meta::StoreKeeper& keeper, const Volume& volume) {
  size_t removed = 0;
  std::vector<meta::ObjectRef> objects;
  std::error_code error;
  for (stdfs::recursive_directory_iterator it(volume.root() + "/objects", error), end;
       !error && it != end; it.increment(error)) {
    if (it.depth() == 0) continue;
    // Whatever else somebody put there is not ours to delete.
    const auto name = ParseName(it->path().filename());
    if (!name) continue;
    objects.push_back({name->inode, volume.id(), name->generation});
    if (objects.size() < kBatch) continue;
    PXFS_ASSIGN(const size_t count, RemoveUnknown(keeper, volume, &objects));
    removed += count;
  }
  // A directory may go while it is read.
  if (error && error != std::errc::no_such_file_or_directory)
    return FailErrno(error.value(), volume.root() + "/objects");
  PXFS_ASSIGN(const size_t count, RemoveUnknown(keeper, volume, &objects));
  return removed + count;
}

}  // namespace

Status Checkpoint(meta::StoreKeeper& keeper, meta::MetadataService& metadata,
                  const VolumeSet& volumes) {
  PXFS_ASSIGN(const auto listed, metadata.ListVolumes());
  std::vector<std::shared_ptr<Volume>> all;
  for (const meta::VolumeInfo& info : listed) {
    all.push_back(volumes.Find(info.id));
    if (!all.back()) return {};
  }
  PXFS_ASSIGN(const uint64_t checkpoint, keeper.BeginCheckpoint());
  if (checkpoint == 0) return {};
  for (const auto& volume : all) PXFS_TRY(volume->Sync());
  return keeper.EndCheckpoint(checkpoint);
}

Result<size_t> SettlePowerLoss(meta::StoreKeeper& keeper, const VolumeSet& volumes) {
  size_t removed = 0;
  if (!keeper.PowerWasLost()) return removed;
  for (const auto& volume : volumes.All()) {
    PXFS_ASSIGN(const size_t count, Sweep(keeper, *volume));
    if (count > 0)
      log::info("volume {}: deleted {} objects of files that a loss of power took", volume->name(),
                count);
    removed += count;
  }
  PXFS_TRY(keeper.PowerLossSettled());
  return removed;
}

}  // namespace pxfs::volumes
