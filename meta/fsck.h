// StoreFsck: a metadata store that nobody serves, open to be checked and repaired, and compared
// with the objects on volumes by whoever has these at hand.
//
// It holds the store's lock. Until something is to be changed nothing is written but what opening
// the engine writes. Not thread-safe; calls block for the store.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "meta/check.h"
#include "meta/dump.h"
#include "meta/known_objects.h"
#include "meta/repair.h"
#include "meta/service.h"

namespace pxfs::meta {

class StoreFsck {
 public:
  // directory: of LocalOptions. kBusy names who has the store; kNotFound; kCorruption: the engine's
  // files are damaged, the message says which.
  static Result<std::unique_ptr<StoreFsck>> Open(const std::string& directory,
                                                 std::chrono::milliseconds lock_wait);

  // What is wrong now, with paths. Sessions count: their processes are gone.
  Result<std::vector<Finding>> Check();
  // Mends what can be mended; Check says what is left. Sessions are not ended here, as what they
  // had open is to be learned from the objects: that is for the service.
  // last_object: what is made anew gets higher numbers than any object on the volumes has, whatever
  // the store knows of them.
  Status Repair(const FindObject& find_object, InodeId last_object);

  // Damaged records are left out, here and below.
  Result<std::vector<VolumeInfo>> ListVolumes();
  // Every regular file with a name, in the order of their numbers.
  Status ForEachFile(const std::function<Status(const Location& file)>& visit);
  Result<std::optional<Location>> FindFile(InodeId inode);
  // Those that nothing refers to, also of new files and after a load.
  Result<std::vector<ObjectRef>> Unknown(std::span<const ObjectRef> objects);
  // A path of the inode; empty: it has none.
  std::string PathOf(InodeId inode);

  // The size and times are those of the object.
  Status SetContent(InodeId inode, const ContentState& content);
  // The object of the replica on `lost` is gone: that one is forgotten, the one on `heir` is the
  // primary if it was, and the file is queued, to be given the copies that it should have.
  Status ForgetReplica(InodeId inode, VolumeId lost, VolumeId heir);
  // Where an object got its name: as asked for, beside another that had the name, or /lost+found.
  enum class Place { kPath, kOtherName, kLostAndFound };
  // After Repair. An object that nothing refers to, of an inode that is not there, becomes a file:
  // at `path`, with the directories that are missing on the way (root's, mode 0755). Without a
  // path, or where something in it is no directory, in /lost+found.
  Result<Place> Adopt(const Location& file, const std::string& path);

  // ---- for a store that was just loaded from a dump, and is older than the objects ----

  // Owner, mode, size and times are those of the object. moved: it is its only replica, too.
  Status TakeObject(const Location& file, bool moved);
  // What was set aside, was a file without a name, or was about to lose a copy when the dump was
  // made may have become a file's content since: nothing of it is to be deleted by the end of a
  // session. Trees and files that had no name go to /lost+found with the next Repair. Returns
  // whether there was anything.
  Result<bool> ForgetUnfinished();
  Status SetVolume(const VolumeInfo& volume);

  Status Sync() { return engine().Sync(); }

 private:
  StoreFsck(std::unique_ptr<KvEngine> engine, UniqueFd lock);
  KvEngine& engine() { return store_ ? store_->engine() : *engine_; }
  // The store is opened before its first change.
  Status OpenStore();
  Result<InodePtr> GetInode(InodeId inode);
  Result<Place> AdoptAt(Transaction& tx, InodeRecord& inode, const std::string& path);

  const UniqueFd lock_;
  std::unique_ptr<KvEngine> engine_;  // until it is the store's
  std::unique_ptr<Store> store_;
  std::optional<KnownObjects> known_;
};

// A visitor of ReadDump that collects the volumes; damaged records are left out.
DumpVisitor VolumesOf(std::vector<VolumeInfo>* volumes);

}  // namespace pxfs::meta
