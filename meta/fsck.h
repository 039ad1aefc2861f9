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
  Status Repair(const FindObject& find_object);

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
  // The primary's object is gone: the replica on `volume` takes its place.
  Status ReplacePrimary(InodeId inode, VolumeId volume);
  // An object that nothing refers to, of an inode that is not there, becomes a file in /lost+found.
  Status Adopt(const Location& file);

  Status Sync() { return engine().Sync(); }

 private:
  StoreFsck(std::unique_ptr<KvEngine> engine, UniqueFd lock);
  KvEngine& engine() { return store_ ? store_->engine() : *engine_; }
  // The store is opened before its first change.
  Status OpenStore();
  Result<InodePtr> GetInode(InodeId inode);

  const UniqueFd lock_;
  std::unique_ptr<KvEngine> engine_;  // until it is the store's
  std::unique_ptr<Store> store_;
  std::optional<KnownObjects> known_;
};

}  // namespace pxfs::meta
