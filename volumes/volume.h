// Volume: a directory on this node's disk that holds objects, and VolumeSet: those of one cluster.
//
// On disk (docs/formats.md): .pxfs-volume (identity, JSON), objects/ (0700), staging/ and views/
// (0700). An object's path is objects/<inode / 1024, hex>/<inode, hex>-<object generation, hex>.
// Nothing is read or written below a root whose identity file is missing or foreign.
//
// Thread-safe. Calls block for the disk.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/access_times.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "meta/service.h"
#include "volumes/disk_probe.h"
#include "volumes/volume_load.h"

namespace pxfs::volumes {

struct ObjectName {
  InodeId inode;
  uint64_t generation = 0;  // meta::Replica::object_generation

  std::string RelativePath() const;  // below the volume's root: "objects/0/1a-1"
};

// Owner and permission bits of an inode.
struct ObjectOwner {
  uint32_t uid = 0, gid = 0;
  uint32_t mode = 0600;  // 07777
};

// What an object gets where its inode has `inode`: the same, if root serves the volume. Nobody else
// can give files away or write what is read-only; so all objects of an ordinary user's volume are
// his own, with mode 0600, and only metadata knows of owners and modes.
ObjectOwner OwnerOnDisk(const ObjectOwner& inode);

struct VolumeIdentity {
  std::string cluster_uuid;
  std::string volume_uuid;
  std::string name;
};

class Volume {
 public:
  // Makes the directories and the identity file at `root`, which must be an empty directory, or not
  // exist yet. kExists: it holds something already, or belongs to a cluster (the message says
  // which).
  static Status Format(const std::string& root, const VolumeIdentity& identity);
  // Takes back a Format: the volume must hold no object. The root itself stays. kNotEmpty, and as
  // Open.
  static Status Unformat(const std::string& root, const VolumeIdentity& identity);
  // Checks the identity. kUnavailable: missing (the disk is not mounted?), kInvalid: foreign. The
  // message says which.
  static Result<std::shared_ptr<Volume>> Open(VolumeId id, const std::string& root,
                                              const VolumeIdentity& expected);

  VolumeId id() const { return id_; }
  const std::string& root() const { return root_; }
  const std::string& name() const { return identity_.name; }
  int root_fd() const { return root_fd_.get(); }  // for *at() calls; owned by the volume

  // flags as open(2); with O_CREAT the object is made with `owner` (which is needed then) if it is
  // not there, and its directory as needed. Pass O_EXCL too where it cannot exist yet: that saves a
  // look.
  Result<UniqueFd> OpenObject(ObjectName name, int flags, const ObjectOwner* owner = nullptr) const;
  // Reading what OpenObject opens from now on moves access times by this rule; after the first call
  // also what is open already. Until then, if it fails, and always where others than root serve,
  // they move as the mount of the volume's disk has it.
  Status SetAccessTimes(const AccessTimes& rule);
  Result<struct stat> StatObject(ObjectName name) const;
  // Owner, mode and times as the inode's. kNotFound where there is no object.
  Status SetOwner(ObjectName name, const ObjectOwner& owner) const;
  Status SetTimes(ObjectName name, meta::Timestamp atime, meta::Timestamp mtime) const;
  // Records which inode and path this is, for rebuilding a namespace from volumes (xattr
  // OriginXattr(): "<inode, hex> <path>"; only the inode where the file system has no room for the
  // path). kNotSupported where it has no such xattrs at all.
  static Status SetOrigin(int object_fd, InodeId inode, const std::string& path);
  // An object that is not there counts as removed.
  Status RemoveObject(ObjectName name) const;
  // Removes the directory of this object if nothing is in it any more.
  void PruneDirectory(ObjectName name) const;
  // Moves a file that lies on this volume's file system into place as an object (rename), or links
  // it (hard link). kExists: the object is there already; kCrossDevice: the file lies elsewhere.
  Status AdoptByRename(int source_dir_fd, const std::string& source, ObjectName name) const;
  Status AdoptByLink(int source_dir_fd, const std::string& source, ObjectName name) const;

  // The object's name survives loss of power: fsync of the directories that hold it. Its content is
  // for fsync of the object itself.
  Status SyncName(ObjectName name) const;

  // Looks at the disk now: space, identity, whether it can be written.
  meta::VolumeReport Inspect() const;
  // What is free now, for others than root; 0 where the disk does not say.
  uint64_t FreeBytes() const;
  // Flushes the volume's file system (syncfs).
  Status Sync() const;

  Volume(VolumeId id, std::string root, VolumeIdentity identity, UniqueFd root_fd);

 private:
  // Where objects are opened: the private mount, or the root where there is none.
  int opening_fd() const;
  // The private mount does not become read-only when the volume's own mount does.
  Status CheckWritable() const;
  Result<UniqueFd> CreateObject(ObjectName name, int flags, const ObjectOwner& owner) const;
  Status MakeObjectDirectory(ObjectName name) const;

  const VolumeId id_;
  const std::string root_;
  const VolumeIdentity identity_;
  const UniqueFd root_fd_;
  std::mutex access_times_mutex_;
  UniqueFd private_mount_;                 // guarded by access_times_mutex_; made once
  std::atomic<int> private_mount_fd_{-1};  // of it, to be read without the lock
};

// meta's times and attributes of an object, from its stat.
meta::Timestamp ToTimestamp(const struct timespec& time);
struct timespec ToTimespec(const meta::Timestamp& time);
meta::ContentState ContentOf(const struct stat& st);
// Whether a closed file's object has another size or time than metadata knows. The time may also
// have been set without a write, so a difference is a reason to read.
bool LooksChanged(const struct stat& object, const meta::Attr& attr);

// The volumes of a cluster that this node can reach, by id. Thread-safe.
class VolumeSet {
 public:
  // reports: this process answers for the volumes' health. False in clients, who may see less than
  // the node does.
  VolumeSet(std::string cluster_uuid, meta::MetadataService& metadata, bool reports = true);

  // Opens volumes that metadata lists and that are not open yet, closes those that are gone, and
  // reports each one's space and health to metadata. Call it at start and then every second or so.
  Status Refresh() const;
  // Null: not known, or offline. A volume found stays valid while held. One that was added since
  // the last Refresh is looked for first.
  std::shared_ptr<Volume> Find(VolumeId id) const;
  // The same, with an error that names the volume and why it is offline: kUnavailable.
  Result<std::shared_ptr<Volume>> Require(VolumeId id) const;
  std::vector<std::shared_ptr<Volume>> All() const;
  // Looks at the disk now: less is free than the volume keeps in reserve.
  bool BelowReserve(const Volume& volume) const;
  // Volume::SetAccessTimes for all, also those that come later. A failure is logged.
  void SetAccessTimes(const AccessTimes& rule) const;
  // How busy they are, as far as this process knows.
  VolumeLoad& load() const { return load_; }
  // The current replicas on volumes that are here, in the order in which a reader shall try them:
  // the least busy volume first, after it those that are draining, and those that are unsettled
  // last.
  std::vector<const meta::Replica*> Readable(const meta::Location& location) const;
  // What it is back with after it was out of reach may be older than metadata says: not all of it
  // has been looked at yet. Any: some volume is so.
  bool Unsettled(VolumeId id) const;
  bool AnyUnsettled() const { return any_unsettled_; }
  // The object of this replica, of which `object` is the stat, does not look like the content that
  // metadata has, and its volume is unsettled: not to be used before SettleReturned has looked at
  // it (volumes/returned_volume.h).
  bool Doubtful(const meta::Attr& attr, const meta::Replica& replica,
                const struct stat& object) const;
  // What metadata said of it at the last Refresh, offline or not.
  std::optional<meta::VolumeInfo> Info(VolumeId id) const;
  // Its name, for people, also where it was removed as lost.
  std::string NameOf(VolumeId id) const;
  // The absolute path of a replica's object, and null-safe: empty where the volume is unknown.
  std::string ObjectPath(const meta::Replica& replica, InodeId inode) const;

 private:
  struct Known {
    meta::VolumeInfo info;
    std::shared_ptr<Volume> volume;  // null while offline
    std::shared_ptr<DiskProbe> probe;
    std::string problem;  // why it is offline
    meta::VolumeReport report;
  };

  // Null where metadata does not list it.
  std::optional<Known> Get(VolumeId id) const;
  Known Look(const meta::VolumeInfo& info, const Known& before) const;
  // It was out of reach, and is back. Has everything there looked at.
  void NoteReturn(meta::VolumeInfo& info) const;
  uint64_t QueueOf(VolumeId id) const;

  const std::string cluster_uuid_;
  meta::MetadataService& metadata_;
  const bool reports_;
  mutable std::mutex mutex_;  // guards known_ and access_times_
  mutable std::unordered_map<VolumeId, Known> known_;
  mutable std::optional<AccessTimes> access_times_;
  mutable std::atomic<bool> any_unsettled_{false};
  mutable VolumeLoad load_;
};

}  // namespace pxfs::volumes
