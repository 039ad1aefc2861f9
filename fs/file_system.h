// FileSystem: what the operations (fs/ops/) share: the metadata service, the volumes, the open
// files, the timeouts, and the translation between the kernel's view (nodeids, struct stat, errno)
// and pxfs's own.
//
// Nothing essential lives only here: nodeid = inode number, and file handles carry nothing, so that
// a daemon can be succeeded. Thread-safe.
#pragma once

#include <fuse3/fuse_lowlevel.h>

#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_set>

#include "base/access_times.h"
#include "base/ids.h"
#include "base/result.h"
#include "fs/buffer_pool.h"
#include "fs/caller.h"
#include "fs/commit_waiter.h"
#include "fs/open_table.h"
#include "fs/transport.h"
#include "meta/service.h"
#include "volumes/heat_table.h"
#include "volumes/volume.h"

namespace pxfs::fs {

// Who root is on a mount with root_squash.
struct Anonymous {
  uint32_t uid = 65534, gid = 65534;
};

struct FileSystemOptions {
  double attr_timeout_seconds = 3600;
  double entry_timeout_seconds = 3600;
  double negative_timeout_seconds = 3600;
  std::optional<Anonymous> squash;     // root's rights are those of this user (fs/squash.cc)
  InodeId root = kRootInode;           // what is mounted: the cluster's root, or subdir=
  std::string cluster_directory;       // for user.pxfs.cluster
  volumes::HeatTable* heat = nullptr;  // outlives the file system; null: heat is not counted
  size_t max_open = ConnectionState::kMaxOpenInodes;  // inodes that are open at once
  size_t max_descriptors = 512;                       // of objects
  size_t max_requests = 16;                           // that run at once: the transport's threads
};

// What went which way, since the mount began. Passthrough hides the bytes that are really read and
// written, so it is the size of a file at its opening that counts as offered.
struct RouteCounters {
  std::atomic<uint64_t> passthrough_opens{0}, passthrough_bytes_offered{0};
  std::atomic<uint64_t> daemon_opens{0}, daemon_bytes_read{0}, daemon_bytes_written{0};
  std::atomic<uint64_t> requests{0};
};

class FileSystem {
 public:
  FileSystem(meta::MetadataService& metadata, const volumes::VolumeSet& volumes,
             Transport& transport, ConnectionState& state, SessionId session,
             FileSystemOptions options);

  static FileSystem& Of(fuse_req_t request) {
    return *static_cast<SessionData*>(fuse_req_userdata(request))->file_system;
  }

  meta::MetadataService& metadata() { return metadata_; }
  const volumes::VolumeSet& volumes() const { return volumes_; }
  OpenTable& open_files() { return open_files_; }
  CommitWaiter& commit_waiter() { return commit_waiter_; }
  // Ends the threads that tell the kernel something or answer requests by themselves, as they must
  // before the FUSE session that they do it by.
  void StopThreads();
  // Memory is short: gives up what nobody uses.
  void ShrinkCaches();
  BufferPool& buffers() { return buffers_; }
  const FileSystemOptions& options() const { return options_; }
  RouteCounters& counters() { return counters_; }
  void CountOpen(InodeId inode, const OpenTable::Opened& opened);
  void CountRead(InodeId inode, uint64_t bytes);  // by the daemon
  void CountWritten(InodeId inode, uint64_t bytes);
  SessionId session() const { return session_; }

  // The caller of a request. The kernel has checked permissions (default_permissions), but for
  // whom it lets do everything and this mount does not: metadata checks those.
  meta::CallContext ContextOf(fuse_req_t request) const;
  // The same for what is done by an open file, or was checked: nobody does again.
  meta::CallContext DataContextOf(fuse_req_t request) const;
  Caller CallerOf(fuse_req_t request) const;
  bool IsSquashed(fuse_req_t request) const;
  // `wanted`: read 4, write 2, execute 1. kAccess for a squashed caller who may not; others have
  // been checked.
  Status CheckAccess(fuse_req_t request, InodeId inode, uint32_t wanted);
  // How long the kernel may keep names, and missing ones, of this directory. What it keeps it also
  // gives to root, so on a mount with root_squash nothing where the anonymous user may not search.
  double EntryTimeout(InodeId directory);
  double NegativeTimeout(InodeId directory);
  // Owner, mode or access list of the inode may have changed: names that the kernel keeps by the
  // rules of before must go.
  void PermissionsChanged(InodeId inode);

  InodeId InodeOf(fuse_ino_t node) const {
    return node == FUSE_ROOT_ID ? options_.root : InodeId(node);
  }
  fuse_ino_t NodeOf(InodeId inode) const {
    return inode == options_.root ? FUSE_ROOT_ID : inode.value;
  }

  // An inode's attributes as the kernel shall see them; while a file is open, size and times come
  // from its object.
  struct ShownAttr {
    struct stat st;
    double timeout_seconds;  // how long the kernel may believe them
  };
  ShownAttr Show(const meta::Attr& attr);
  // The same where `file` is the open file of the inode, if there is one, looked up (and so locked)
  // before `attr` was read from metadata: then the end of a reader, which stores the access time,
  // cannot fall in between.
  ShownAttr Show(const meta::Attr& attr, std::optional<OpenFileRef> file);
  // `directory`: where its name is.
  fuse_entry_param EntryOf(const meta::Attr& attr, InodeId directory);
  fuse_entry_param EntryOf(const meta::Attr& attr, double entry_timeout_seconds);

  // The rule of the mount, also for what is open already.
  void SetAccessTimes(const AccessTimes& rule);
  // A directory was listed, or the target of a symlink read, by a request (what the kernel has
  // cached it reads without one): moves its access time where the rule says so.
  enum class Accessed { kDirectory, kSymlink };
  void MoveAccessTime(InodeId inode, Accessed what);

  // An inode lost its last name by a request of this mount, or by another session's: it is kept
  // until the kernel forgets it. A new name (linkat of a nameless file) ends that.
  void AddOrphan(InodeId inode);
  void RemoveOrphan(InodeId inode);
  // The kernel has dropped the inode.
  void Forgotten(InodeId inode);
  // Also after a succession: what the dead daemon knew of orphans is lost, so every inode that is
  // forgotten may be one.
  void TreatAllAsOrphans() { all_may_be_orphans_ = true; }

  // Owner, mode and times of an inode's objects follow the inode (the fast path shows and enforces
  // them).
  void UpdateObjects(const meta::CallContext& ctx, const meta::Attr& attr, bool owner, bool times);
  // MetadataService::SetAttr, where `change` clears set-id bits with the caller's right to keep
  // setgid in mind.
  Result<meta::Attr> SetAttr(fuse_req_t request, const meta::CallContext& ctx, InodeId inode,
                             const meta::AttrChange& change);
  // Takes the set-id bits, if there are any, from a file whose content the caller has changed.
  void ClearSetId(fuse_req_t request, InodeId inode);
  // Takes the capabilities of a program, if it has any, from a file whose content has changed.
  void RemoveCapabilities(InodeId inode);

 private:
  bool MayBeKept(InodeId directory);
  void OverlayObject(meta::Attr& attr, const struct stat& object, bool content) const;

  meta::MetadataService& metadata_;
  const volumes::VolumeSet& volumes_;
  Transport& transport_;
  const SessionId session_;
  const FileSystemOptions options_;
  OpenTable open_files_;
  CommitWaiter commit_waiter_;
  BufferPool buffers_;
  RouteCounters counters_;
  // Until the mount is there nobody reads.
  std::atomic<AccessTimes> access_times_{AccessTimes{AccessTimes::Rule::kNever, false}};

  std::once_flag asked_for_expiry_;
  bool names_can_expire_ = false;

  std::mutex orphans_mutex_;
  std::unordered_set<InodeId> orphans_;  // guarded by orphans_mutex_
  std::atomic<size_t> orphan_count_{0};  // its size, to spare the lock
  std::atomic<bool> all_may_be_orphans_{false};
};

// Replies with the error's errno. What a healthy file system does not answer (I/O, corruption,
// unavailable) is logged; that there is no space, no leave to write or nothing more to be opened,
// as a warning once a second.
void ReplyError(fuse_req_t request, const Error& error, const char* operation, InodeId inode);

// As ReplyError, for an operation on the inode itself: one that is gone is ESTALE, upon which the
// kernel looks the path up anew, and ENOENT is said by who finds no name.
void ReplyInodeError(fuse_req_t request, const Error& error, const char* operation, InodeId inode);

}  // namespace pxfs::fs
