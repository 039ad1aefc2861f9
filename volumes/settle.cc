#include "volumes/settle.h"

#include <algorithm>
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

namespace {

// Whether the object is the only copy of its file, closed, and not what metadata says of it. A time
// may be older on the object than in metadata, so it counts only where there is a checksum.
bool Differs(const meta::Location& file, const meta::ObjectRef& object, const struct stat& found) {
  if (file.attr.open_for_write || file.replicas.empty()) return false;
  const auto is_current = [](const meta::Replica& replica) {
    return replica.state == meta::ReplicaState::kCurrent;
  };
  const meta::Replica& primary = file.replicas.front();
  if (!primary.primary || primary.volume != object.volume ||
      primary.object_generation != object.object_generation ||
      std::count_if(file.replicas.begin(), file.replicas.end(), is_current) != 1)
    return false;
  const meta::ContentState content = ContentOf(found);
  return content.size_bytes != file.attr.size_bytes ||
         (primary.checksum && content.mtime != file.attr.mtime);
}

// Opening it for writing gives the content a new generation, without a checksum; closing it says
// what it is. (Where there are several copies, opening waits until it is durable.)
Status LearnContent(meta::MetadataService& metadata, const meta::CallContext& ctx,
                    const Volume& volume, const meta::ObjectRef& object) {
  const ObjectName name{object.inode, object.object_generation};
  PXFS_ASSIGN(const meta::Location before, metadata.OpenForWrite(ctx, object.inode, volume.id()));
  PXFS_ASSIGN(const struct stat found, volume.StatObject(name));
  meta::ContentState content = ContentOf(found);
  if (content.size_bytes == before.attr.size_bytes) {
    content.atime = before.attr.atime;
    content.mtime = before.attr.mtime;
    content.ctime = before.attr.ctime;
  }
  return metadata.CloseWrite(ctx, object.inode, content);
}

Result<size_t> LearnContents(meta::MetadataService& metadata, SessionId session,
                             const Volume& volume) {
  const meta::CallContext ctx{.session = session};
  size_t learned = 0;
  const auto look = [&](const ObjectName& name) -> Status {
    const meta::ObjectRef object{name.inode, volume.id(), name.generation};
    const auto file = metadata.Locate(ctx, name.inode);
    const auto found = file ? volume.StatObject(name) : Fail(file.error());
    if (!found) return found.error() == Code::kNotFound ? Status() : Fail(found.error());
    if (!Differs(*file, object, *found)) return {};
    const Status done = LearnContent(metadata, ctx, volume, object);
    if (done) ++learned;
    // It was removed, or nobody may write it just now: then it stays as it is.
    if (!done) log::warn("inode {}: {}", name.inode.value, done.error().message());
    return {};
  };
  PXFS_TRY(ForEachObject(volume, [&](std::span<const ObjectName> names) -> Status {
    for (const ObjectName& name : names) PXFS_TRY(look(name));
    return {};
  }));
  return learned;
}

}  // namespace

Result<Settled> SettlePowerLoss(meta::MetadataService& metadata, const VolumeSet& volumes) {
  Settled settled;
  meta::StoreKeeper& keeper = *metadata.keeper();
  if (!keeper.PowerWasLost()) return settled;
  PXFS_ASSIGN(const SessionId session,
              metadata.OpenSession({"settling a loss of power", {}, nullptr}));
  for (const auto& volume : volumes.All()) {
    PXFS_ASSIGN(const size_t removed, RemoveUnknownObjects(keeper, *volume));
    PXFS_ASSIGN(const size_t learned, LearnContents(metadata, session, *volume));
    if (removed > 0 || learned > 0)
      log::info(
          "volume {}: after a loss of power {} objects of files that are gone are deleted, and the "
          "content of {} files is taken from their objects",
          volume->name(), removed, learned);
    settled.removed += removed;
    settled.learned += learned;
  }
  PXFS_TRY(metadata.CloseSession(session));
  PXFS_TRY(keeper.PowerLossSettled());
  return settled;
}

}  // namespace pxfs::volumes
