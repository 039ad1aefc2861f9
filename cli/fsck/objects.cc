#include "cli/fsck/objects.h"

#include <fcntl.h>

#include <algorithm>

#include "base/bytes.h"
#include "volumes/object_walk.h"

namespace pxfs::cli {
namespace {

std::string PathOf(const volumes::Volume& volume, volumes::ObjectName name) {
  return volume.root() + "/" + name.RelativePath();
}

using meta::Finding;
using meta::FindingKind;
using volumes::ObjectName;
using volumes::Volume;

std::string OctalMode(uint32_t mode) {
  char text[16];
  std::snprintf(text, sizeof text, "%04o", mode & 07777);
  return text;
}

class ObjectCheck {
 public:
  ObjectCheck(meta::StoreFsck& store, const OpenVolumes& volumes, bool repair,
              std::vector<Finding>* findings)
      : store_(store), volumes_(volumes), repair_(repair), findings_(findings) {}

  Status CheckFile(const meta::Location& file);
  Status CheckStrays(const Volume& volume, std::span<const ObjectName> names);

 private:
  // Says what is wrong, after `repair` (Result<bool>: whether it could) where that is asked for.
  template <typename Repair>
  Status Say(FindingKind kind, InodeId inode, VolumeId volume, std::string what, Repair repair);
  Status CheckObject(const meta::Location& file, const meta::Replica& replica,
                     const Volume& volume);
  Status CheckLost(const meta::Location& file, const meta::Replica& replica, const Volume& volume);
  Result<bool> ReplaceLost(const meta::Location& file, const meta::Replica& replica,
                           const Volume& volume);
  Result<bool> TakeStray(const Volume& volume, ObjectName name);
  Result<bool> HasObject(const meta::Replica& replica, InodeId inode) const;

  meta::StoreFsck& store_;
  const OpenVolumes& volumes_;
  const bool repair_;
  std::vector<Finding>* const findings_;
};

template <typename Repair>
Status ObjectCheck::Say(FindingKind kind, InodeId inode, VolumeId volume, std::string what,
                        Repair repair) {
  Finding finding{kind, inode, volume, std::move(what), store_.PathOf(inode)};
  if (repair_) {
    const Result<bool> repaired = repair();
    if (!repaired) return Fail(repaired.error());
    finding.repaired = *repaired;
  }
  findings_->push_back(std::move(finding));
  return {};
}

// False also where the volume is away.
Result<bool> ObjectCheck::HasObject(const meta::Replica& replica, InodeId inode) const {
  const auto volume = volumes_.find(replica.volume);
  if (volume == volumes_.end()) return false;
  const auto st = volume->second->StatObject({inode, replica.object_generation});
  if (!st && !(st.error() == Code::kNotFound)) return Fail(st.error());
  return st.has_value();
}

Status ObjectCheck::CheckFile(const meta::Location& file) {
  for (const meta::Replica& replica : file.replicas) {
    const auto volume = volumes_.find(replica.volume);
    // That the volume is away is said once.
    if (volume != volumes_.end()) PXFS_TRY(CheckObject(file, replica, *volume->second));
  }
  return {};
}

Status ObjectCheck::CheckObject(const meta::Location& file, const meta::Replica& replica,
                                const Volume& volume) {
  const meta::Attr& attr = file.attr;
  const ObjectName name{attr.inode, replica.object_generation};
  const auto object = volume.StatObject(name);
  if (!object && !(object.error() == Code::kNotFound)) return Fail(object.error());
  if (!object) return CheckLost(file, replica, volume);
  const volumes::ObjectOwner owner = volumes::OwnerOnDisk({attr.uid, attr.gid, attr.mode & 07777});
  if (object->st_uid != owner.uid || object->st_gid != owner.gid ||
      (object->st_mode & 07777) != owner.mode)
    PXFS_TRY(Say(FindingKind::kOwner, attr.inode, volume.id(),
                 PathOf(volume, name) + " belongs to " + std::to_string(object->st_uid) + ":" +
                     std::to_string(object->st_gid) + " with mode " + OctalMode(object->st_mode) +
                     ", the file to " + std::to_string(owner.uid) + ":" +
                     std::to_string(owner.gid) + " with mode " + OctalMode(owner.mode),
                 [&]() -> Result<bool> {
                   PXFS_TRY(volume.SetOwner(name, {attr.uid, attr.gid, attr.mode & 07777}));
                   return true;
                 }));
  // The size of a file that was open for writing is its object's, and that is no damage.
  const bool current = replica.primary && replica.generation == attr.generation;
  if (!current || attr.open_for_write || static_cast<uint64_t>(object->st_size) == attr.size_bytes)
    return {};
  return Say(FindingKind::kSize, attr.inode, volume.id(),
             PathOf(volume, name) + " has " + std::to_string(object->st_size) +
                 " bytes, the file " + std::to_string(attr.size_bytes),
             [&]() -> Result<bool> {
               PXFS_TRY(store_.SetContent(attr.inode, volumes::ContentOf(*object)));
               return true;
             });
}

Status ObjectCheck::CheckLost(const meta::Location& file, const meta::Replica& replica,
                              const Volume& volume) {
  const bool may_be_missing =
      replica.state != meta::ReplicaState::kCurrent ||
      (!replica.materialized && (file.attr.size_bytes == 0 || file.attr.open_for_write));
  if (may_be_missing) return {};
  const ObjectName name{file.attr.inode, replica.object_generation};
  return Say(FindingKind::kLostObject, file.attr.inode, volume.id(),
             PathOf(volume, name) + " (" + FormatBytes(file.attr.size_bytes) +
                 ") is gone; put it back, or remove the file",
             [&] { return ReplaceLost(file, replica, volume); });
}

Result<bool> ObjectCheck::ReplaceLost(const meta::Location& file, const meta::Replica& replica,
                                      const Volume& volume) {
  const meta::Attr& attr = file.attr;
  if (attr.size_bytes == 0) {
    const volumes::ObjectOwner owner{attr.uid, attr.gid, attr.mode & 07777};
    const ObjectName name{attr.inode, replica.object_generation};
    PXFS_TRY(volume.OpenObject(name, O_RDWR | O_CREAT, &owner));
    PXFS_TRY(volume.SetTimes(name, attr.atime, attr.mtime));
    return true;
  }
  for (const meta::Replica& other : file.replicas) {
    if (other.volume == replica.volume || other.state != meta::ReplicaState::kCurrent ||
        other.generation != attr.generation)
      continue;
    PXFS_ASSIGN(const bool there, HasObject(other, attr.inode));
    if (!there) continue;
    PXFS_TRY(store_.ForgetReplica(attr.inode, replica.volume, other.volume));
    return true;
  }
  return false;
}

// An object of an inode that has its content elsewhere is a leftover. One of an inode that is not
// there is all that is left of a file.
Result<bool> ObjectCheck::TakeStray(const Volume& volume, ObjectName name) {
  PXFS_ASSIGN(const auto file, store_.FindFile(name.inode));
  if (file) {
    if (file->replicas.empty()) return false;
    PXFS_ASSIGN(const bool there, HasObject(file->replicas.front(), name.inode));
    // It may be an older content of the file, or a newer one of a copy that was not committed.
    if (!there || name.generation > file->replicas.front().object_generation) return false;
  }
  const auto object = volume.StatObject(name);
  if (!object) return object.error() == Code::kNotFound ? Result<bool>(true) : Fail(object.error());
  if (!file && object->st_size > 0) {
    PXFS_TRY(store_.Adopt(FileOfObject(volume, name, *object), ""));
    return true;
  }
  PXFS_TRY(volume.RemoveObject(name));
  volume.PruneDirectory(name);
  return true;
}

Status ObjectCheck::CheckStrays(const Volume& volume, std::span<const ObjectName> names) {
  std::vector<meta::ObjectRef> objects;
  for (const ObjectName& name : names)
    objects.push_back({name.inode, volume.id(), name.generation});
  PXFS_ASSIGN(const auto unknown, store_.Unknown(objects));
  for (const meta::ObjectRef& object : unknown) {
    const ObjectName name{object.inode, object.object_generation};
    PXFS_TRY(Say(FindingKind::kStrayObject, object.inode, volume.id(),
                 "nothing refers to " + PathOf(volume, name),
                 [&] { return TakeStray(volume, name); }));
  }
  return {};
}

}  // namespace

Result<OpenVolumes> OpenVolumesOf(meta::StoreFsck& store, const std::string& cluster_uuid,
                                  std::vector<Finding>* findings) {
  OpenVolumes open;
  PXFS_ASSIGN(const auto listed, store.ListVolumes());
  for (const meta::VolumeInfo& info : listed) {
    auto volume = Volume::Open(info.id, info.path, {cluster_uuid, info.uuid, info.name});
    if (volume)
      open.emplace(info.id, std::move(*volume));
    else
      findings->push_back({FindingKind::kVolume, InodeId(), info.id,
                           "volume " + info.name + ": " + volume.error().message() +
                               "; its objects are not checked"});
  }
  return open;
}

Result<InodeId> LastObject(const OpenVolumes& volumes) {
  InodeId last;
  for (const auto& [id, volume] : volumes)
    PXFS_TRY(volumes::ForEachObject(*volume, [&](std::span<const ObjectName> names) -> Status {
      for (const ObjectName& name : names) last = std::max(last, name.inode);
      return {};
    }));
  return last;
}

meta::Location FileOfObject(const Volume& volume, ObjectName name, const struct stat& object) {
  const meta::ContentState content = volumes::ContentOf(object);
  meta::Location file;
  file.attr.inode = name.inode;
  file.attr.mode = S_IFREG | (object.st_mode & 07777);
  file.attr.uid = object.st_uid;
  file.attr.gid = object.st_gid;
  file.attr.size_bytes = content.size_bytes;
  file.attr.blocks = content.blocks;
  file.attr.atime = content.atime;
  file.attr.mtime = content.mtime;
  file.attr.ctime = file.attr.btime = content.ctime;
  file.attr.generation = name.generation;
  meta::Replica replica;
  replica.volume = volume.id();
  replica.object_generation = replica.generation = name.generation;
  replica.primary = replica.materialized = true;
  file.replicas.push_back(replica);
  return file;
}

Result<std::optional<meta::Location>> FindObject(const OpenVolumes& volumes, InodeId inode,
                                                 const std::set<VolumeId>& where) {
  std::optional<meta::Location> newest;
  for (const auto& [id, volume] : volumes) {
    if (!where.empty() && !where.contains(id)) continue;
    PXFS_ASSIGN(const auto objects, volumes::ObjectsOf(*volume, inode));
    if (objects.empty() || (newest && newest->attr.generation >= objects.front().generation))
      continue;
    PXFS_ASSIGN(const struct stat object, volume->StatObject(objects.front()));
    newest = FileOfObject(*volume, objects.front(), object);
  }
  const bool all =
      std::all_of(where.begin(), where.end(), [&](VolumeId id) { return volumes.contains(id); });
  if (!newest && !all) return Fail(Code::kUnavailable, "a volume is away");
  return newest;
}

Status CheckObjects(meta::StoreFsck& store, const OpenVolumes& volumes, bool repair,
                    std::vector<Finding>* findings) {
  ObjectCheck check(store, volumes, repair, findings);
  PXFS_TRY(store.ForEachFile([&](const meta::Location& file) { return check.CheckFile(file); }));
  for (const auto& [id, volume] : volumes)
    PXFS_TRY(volumes::ForEachObject(*volume, [&, &on = *volume](std::span<const ObjectName> names) {
      return check.CheckStrays(on, names);
    }));
  return {};
}

}  // namespace pxfs::cli
