// MetadataService: the one door to the namespace. fs/, jobs/, volumes/ and cli/ know nothing else
// of meta/. It is implemented by function call (meta/local_service.h, embedded) and over a socket
// (meta/remote_service.h, a client of rpc/); both behave alike, and one test suite runs on both.
//
// Every mutation is one transaction: it happened whole or not at all, in a crash too. It survives a
// killed process when the call has returned, and power loss after Sync.
//
// Coherence: a mutation returns only after every other session that caches has dropped what
// the mutation made untrue (SessionSpec::listener), so kernels may cache for long.
//
// Access: with CallContext::check_access the permission bits, ACLs and sticky rules are checked for
// the caller's credentials; a FUSE session leaves that to the kernel (default_permissions).
//
// All methods are thread-safe. They block for a store access, and for other sessions' listeners.
// Errors that every method can return and that are not listed again: kIo, kCorruption,
// kUnavailable.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "meta/types.h"

namespace pxfs::meta {

struct CallContext {
  SessionId session;     // 0 only where a method says so
  uint64_t request = 0;  // the session's number for this request (0: none), so that a mutation
                         // can recognise its own repetition
  uint32_t uid = 0;      // owner of what is created
  uint32_t gid = 0;
  bool check_access = false;
  std::vector<uint32_t> groups = {};  // supplementary; only read with check_access
};

// Something a session may have cached that is no longer true.
struct Invalidation {
  enum class Kind : uint8_t {
    kAttr = 1,  // attributes of `inode`
    kContent,   // content of `inode` (and its attributes): cached pages are void
    kEntry,     // the name `name` in directory `inode`, whether it was there or not
    kOrphaned,  // the last name of `inode` is gone: Forget it once nothing here refers to it
    kListing,   // any entry of directory `inode` may have changed
    kAll,       // anything may have changed: the session was out of touch (no inode, no name)
  };
  Kind kind = Kind::kAttr;
  InodeId inode;
  std::string name;
};

class CacheListener {
 public:
  virtual ~CacheListener() = default;
  // Drops what is named and returns once it is dropped. Called from any thread, with no lock of the
  // service held. Must not call the service back with a mutation.
  virtual void Invalidate(std::span<const Invalidation> items) = 0;
};

struct SessionSpec {
  std::string description;  // for people: "mount /data", "pxfs ingest"; empty: as before (resume)
  SessionId resume;         // a session of an earlier process to take over; 0: a new one
  CacheListener* listener = nullptr;  // null: the session caches nothing. Outlives the session.
  // The process on this node whose end means that nobody will resume the session and that nothing
  // is cached any more: a mount's supervisor. 0: there is none to tell.
  pid_t holder = 0;
};

struct SessionInfo {
  SessionId id;
  std::string description;
  bool caches = false;
  bool attached = false;        // false: the service died, and nobody has resumed it since
  uint64_t open_for_write = 0;  // files
};

// ---- bringing in whole trees (ingest, results of jobs) ----

struct ReserveItem {
  std::string path;  // relative to the directory; its parents steer `colocate`
  uint64_t size_bytes = 0;
  VolumeId volume;  // 0: by policy
};

// Inode numbers and objects set aside for a session that is about to write objects. Objects of a
// reservation that were never published are reclaimed when the session ends, in a crash too.
struct ReservedObject {
  InodeId inode;
  VolumeId volume;
  uint64_t object_generation = 0;
};

struct TreeNode {
  std::string path;  // relative to the directory, '/'-separated, no "." or ".."; parents come first
  uint32_t mode = 0;
  uint32_t uid = 0, gid = 0;
  uint64_t rdev = 0;
  Timestamp atime, mtime;
  std::string symlink_target;
  std::map<std::string, std::string> xattrs;
  std::string hard_link_to;  // the path of an earlier node of this or an earlier call; else empty
  // Regular files only.
  ReservedObject object;
  uint64_t size_bytes = 0, blocks = 0;
  std::optional<Hash128> checksum;
};

enum class IfExists : uint8_t {
  kFail = 1,  // kExists, and nothing is added
  kMerge,     // existing directories are kept and filled; anything else is kExists
  kReplace,   // as kMerge, and files are replaced (their old content is reclaimed)
};

struct RecordWrite {
  std::string key;
  std::optional<std::string> value;  // absent: delete
};

struct Record {
  std::string key, value;
};

struct ReclaimItem {
  uint64_t ticket = 0;
  InodeId inode;
  std::vector<Replica> replicas;  // objects to delete, where they exist
};

struct ObjectRef {
  InodeId inode;
  VolumeId volume;
  uint64_t object_generation = 0;
};

// How copying goes in the process that hosts the store, since it was started.
struct CopyRates {
  uint64_t files = 0, bytes = 0;     // copied
  uint64_t dropped = 0;              // copies taken away
  uint64_t given_up = 0;             // files that changed again and again while they were copied
  uint64_t bytes_per_second = 0;     // over the last seconds
  std::vector<ObjectRef> under_way;  // copies that are being made now
};

struct Statistics {
  uint64_t inodes = 0, orphans = 0, reclaim_queue = 0, open_for_write = 0;
  // What the service keeps in memory of inodes and of names, and of how many of each at most.
  uint64_t cached_inodes = 0, cached_names = 0, max_inodes = 0;
  std::vector<SessionInfo> sessions;
  CopyRates copying;
};

// Where a dump goes (meta/dump.h), and of which cluster it says it is.
struct DumpTarget {
  std::string file;  // absolute, on the host of the store
  std::string cluster_uuid, cluster_name;
};

// ---- copies (docs/replication.md) ----

// A copy that may be made: of what, and the object that it is to become.
struct CopyTicket {
  Location source;
  ObjectRef object;
};

// A copy that is complete and durable on its volume, and so is the content it was made of.
struct FinishedCopy {
  ObjectRef object;
  uint64_t generation = 0;  // of the content, as the ticket's source has it
  Hash128 checksum;
  uint32_t uid = 0, gid = 0, mode = 0;  // as they are on the object; mode: 07777
};

// What reading an object whole came to.
struct ScrubFinding {
  ObjectRef object;
  uint64_t generation = 0;  // of the content, when the reading began
  bool good = false;        // as the checksum says, or as the other copies are
  Hash128 checksum;         // that was found; only where it is good
};

// Files whose copies are not as they should be. A file may be in several of these.
struct CopyCensus {
  struct Count {
    uint64_t files = 0, bytes = 0;
  };
  // A volume that is out of reach, or was removed as lost, with files that no other has a copy of.
  struct Loss {
    VolumeId volume;
    std::string name;
    bool removed = false;
    Count count;
  };
  Count under_replicated;  // fewer copies within reach than asked for
  Count stale;             // with a copy of an older content that is still there
  Count queued;            // the replicator is to look at them
  std::vector<Loss> lost;  // files without any copy within reach, by volume of their primary
};

// What the process that hosts a store does for it with the volumes at hand, so that metadata and
// content agree after a loss of power (docs/durability.md). Thread-safe; calls block for the store.
class StoreKeeper {
 public:
  virtual ~StoreKeeper() = default;

  // Before the caller syncs every volume; 0: no content has changed since the last time. Then
  // EndCheckpoint with the number returned, unless a sync failed.
  virtual Result<uint64_t> BeginCheckpoint() = 0;
  virtual Status EndCheckpoint(uint64_t checkpoint) = 0;
  // The machine has lost power, or was reset, since the store was closed in order. Files whose
  // content may be affected are among FilesToRecover.
  virtual bool PowerWasLost() = 0;
  // Those of `objects` that nothing refers to: no inode, no reservation, no item to reclaim.
  // Objects of inodes that are newer than this opening of the store, or older than its last
  // restoring from a dump, are left out. So whoever makes an object must have said so in metadata
  // first.
  virtual Result<std::vector<ObjectRef>> UnknownObjects(std::span<const ObjectRef> objects) = 0;
  // Unknown objects are deleted: PowerWasLost is false from now on, for processes to come too.
  virtual Status PowerLossSettled() = 0;
  // Others are served from now on: until sessions that cache and that nobody has resumed yet are
  // resumed, for as long as the grace for sessions lasts, no mutation returns.
  virtual void BeginServing() = 0;
  // What Statistics shows of copying from now on.
  virtual void ReportCopying(const CopyRates& rates) = 0;
  // Memory is short: gives back half of what is cached. It may be filled again.
  virtual void ShrinkCaches() = 0;
};

class MetadataService {
 public:
  virtual ~MetadataService() = default;

  // ---- sessions ----

  // kNotFound when `resume` names no session.
  virtual Result<SessionId> OpenSession(const SessionSpec& spec) = 0;
  // Ends it: its reservations, write records and holds on orphans are gone. Files that it had open
  // for writing must have been closed; what was not is recovered from the objects (RecoverWrites).
  virtual Status CloseSession(SessionId session) = 0;

  // ---- names ----

  // kNotFound, kNotDirectory, kNameTooLong, kAccess.
  virtual Result<Attr> Lookup(const CallContext& ctx, InodeId parent, std::string_view name) = 0;
  // Anything but a regular file that is opened at once: mknod, mkdir, symlink.
  // kExists, kNotFound (the parent is gone), kNotDirectory, kNameTooLong, kTooManyLinks, kInvalid.
  virtual Result<Attr> MakeNode(const CallContext& ctx, InodeId parent, std::string_view name,
                                const NewNode& node) = 0;
  // Creates a regular file and opens it for writing, as MakeNode and OpenForWrite in one
  // transaction. `name` empty: a file without a name (O_TMPFILE), an orphan held by this session.
  // As MakeNode, and kNoSpace when no volume has room.
  virtual Result<Location> Create(const CallContext& ctx, InodeId parent, std::string_view name,
                                  const NewNode& node) = 0;
  // A further name for `inode`, which may be an orphan of Create without a name.
  // As MakeNode, and kNotPermitted for directories.
  virtual Result<Attr> Link(const CallContext& ctx, InodeId inode, InodeId parent,
                            std::string_view name) = 0;
  // kNotFound, kIsDirectory.
  virtual Result<Removed> Unlink(const CallContext& ctx, InodeId parent, std::string_view name) = 0;
  // kNotFound, kNotDirectory, kNotEmpty.
  virtual Result<Removed> RemoveDirectory(const CallContext& ctx, InodeId parent,
                                          std::string_view name) = 0;
  // flags: 0, RENAME_NOREPLACE or RENAME_EXCHANGE (<linux/fs.h>), else kInvalid. Returns what the
  // new name had referred to, if anything was replaced (its inode is 0 otherwise). kNotFound,
  // kExists, kNotEmpty, kIsDirectory, kNotDirectory, kInvalid (into itself), kTooManyLinks.
  virtual Result<Removed> Rename(const CallContext& ctx, InodeId parent, std::string_view name,
                                 InodeId new_parent, std::string_view new_name, uint32_t flags) = 0;
  // Entries behind `cookie` (0: from the start), at most `limit`. An entry that stays is shown
  // exactly once however others come and go.
  virtual Result<DirPage> ReadDirectory(const CallContext& ctx, InodeId directory, uint64_t cookie,
                                        uint32_t limit, bool with_attr) = 0;
  virtual Result<std::string> ReadLink(const CallContext& ctx, InodeId inode) = 0;
  // Follows `path` ('/'-separated, a leading '/' is allowed) from `start`; symlinks are followed,
  // the last one only if asked. kLoop after 40.
  virtual Result<Attr> Resolve(const CallContext& ctx, InodeId start, std::string_view path,
                               bool follow_last) = 0;
  // One path from the root, "/a/b"; kNoData when the inode has no name.
  virtual Result<std::string> PathOf(InodeId inode) = 0;

  // ---- inodes ----

  virtual Result<Attr> GetAttr(const CallContext& ctx, InodeId inode) = 0;
  virtual Result<Attr> SetAttr(const CallContext& ctx, InodeId inode, const AttrChange& change) = 0;
  // kNoData when there is none.
  virtual Result<std::string> GetXattr(const CallContext& ctx, InodeId inode,
                                       std::string_view name) = 0;
  // flags: 0, XATTR_CREATE (kExists) or XATTR_REPLACE (kNoData). Setting system.posix_acl_access
  // also sets the mode bits. kRange for an empty or overlong name, kTooBig for the value.
  virtual Status SetXattr(const CallContext& ctx, InodeId inode, std::string_view name,
                          std::string_view value, int flags) = 0;
  virtual Result<std::vector<std::string>> ListXattrs(const CallContext& ctx, InodeId inode) = 0;
  virtual Status RemoveXattr(const CallContext& ctx, InodeId inode, std::string_view name) = 0;

  // ---- content ----

  // Where the content is. Reading needs no leave and leaves no trace here.
  virtual Result<Location> Locate(const CallContext& ctx, InodeId inode) = 0;
  // Grants the session writing: raises the generation, makes other replicas stale, records the open
  // file until CloseWrite. Once per session and inode; again while open it only answers. Where the
  // primary's volume is below its reserve and another one has room, a replica in state kCopying is
  // among those returned: the place that the content shall be moved to before it is written
  // (EndMove). kIsDirectory, kInvalid (not a regular file), kUnavailable (no reachable current
  // replica), kReadOnly. preferred: where the session has the file open already (0: nowhere). The
  // writes go there if its replica is current and can take them.
  virtual Result<Location> OpenForWrite(const CallContext& ctx, InodeId inode,
                                        VolumeId preferred) = 0;
  // Ends a move that OpenForWrite began. `moved`: the object of the kCopying replica holds the
  // content, durably, and becomes the primary; the one before is reclaimed. Else the copy is
  // reclaimed, as it is when the last writer closes. Returns what holds then. kStale: the content
  // has been opened for writing by somebody else meanwhile, or this is no such replica; then
  // nothing has changed, and the move is over.
  virtual Result<Location> EndMove(const CallContext& ctx, InodeId inode,
                                   uint64_t object_generation, bool moved) = 0;
  // The size and times of an open file as they are now (fsync), and the same with the end of
  // writing.
  virtual Status CommitContent(const CallContext& ctx, InodeId inode,
                               const ContentState& content) = 0;
  virtual Status CloseWrite(const CallContext& ctx, InodeId inode, const ContentState& content) = 0;
  // The session no longer refers to these orphans.
  virtual Status Forget(SessionId session, std::span<const InodeId> inodes) = 0;
  // Makes everything acknowledged so far survive power loss.
  virtual Status Sync() = 0;
  virtual Result<StatFs> GetStatFs() = 0;

  // Files that a dead session had open for writing. The volume service looks at the objects and
  // answers with CommitRecovered; until then the file counts as open for writing.
  virtual Result<std::vector<Location>> FilesToRecover() = 0;
  virtual Status CommitRecovered(InodeId inode, const ContentState& content) = 0;

  // ---- copies ----

  // Sets an object on `target` aside for a copy of the content as it is now, until CommitCopy,
  // Discard or the end of the session; one a session and inode. kInvalid (not a regular file),
  // kNotFound (removed), kBusy (open for writing, or this session copies it already), kExists (a
  // current replica is there), kReadOnly, kUnavailable and kNoSpace (the target).
  virtual Result<CopyTicket> BeginCopy(const CallContext& ctx, InodeId inode, VolumeId target) = 0;
  // The copy becomes a current replica, and its checksum that of all of them. kStale: the content
  // has changed, or the file is gone: Discard it. kBusy: owner or mode are others now: give them to
  // the object (the attributes are in Locate) and commit again.
  virtual Status CommitCopy(const CallContext& ctx, const FinishedCopy& copy) = 0;
  // Takes a replica out and has its object reclaimed; a primary leaves that part to another current
  // replica. kNotFound, kBusy (it takes the writes of an open file), kNotPermitted (no other
  // current replica is on a volume that is not offline; the last one is never dropped).
  virtual Status DropReplica(const CallContext& ctx, const ObjectRef& replica) = 0;
  // Replaces what the file itself asks for, and queues it. kInvalid (not a regular file, an unknown
  // volume, more copies than volumes), kNotPermitted (neither its owner nor root); kReadOnly,
  // kUnavailable and kNoSpace: a volume that it did not ask for before, and has no copy on, can
  // take none.
  virtual Status SetCopyWishes(const CallContext& ctx, InodeId inode, const CopyWishes& wishes) = 0;
  // Good: notes the date, and the checksum for all current replicas where none is known. Else the
  // replica becomes stale, so that it is dropped and made anew; a primary leaves that part to
  // another current one. kNotFound, kStale (the content has changed since), kBusy (open for
  // writing), kNotPermitted (bad, and no other current replica can be reached: nothing has
  // changed).
  virtual Status ReportScrub(const ScrubFinding& finding) = 0;
  // Counted now: blocks for a look at every file that is queued or lies on a volume out of reach.
  virtual Result<CopyCensus> GetCopyCensus() = 0;

  // ---- whole trees ----

  virtual Result<std::vector<ReservedObject>> Reserve(const CallContext& ctx, InodeId directory,
                                                      std::span<const ReserveItem> items) = 0;
  // A directory without a name, to be filled and then attached. Reclaimed with all it holds if the
  // session ends first.
  virtual Result<InodeId> CreateDetached(const CallContext& ctx, uint32_t mode) = 0;
  // Adds the nodes below `directory` in one transaction (so: some thousands at most a call).
  virtual Status AddTree(const CallContext& ctx, InodeId directory, std::span<const TreeNode> nodes,
                         IfExists if_exists) = 0;
  // Gives the detached directory its name, and writes `records`, in one transaction. kExists.
  virtual Status Attach(const CallContext& ctx, InodeId detached, InodeId parent,
                        std::string_view name, std::span<const RecordWrite> records) = 0;
  // Gives up a detached directory or unpublished reserved objects now rather than at the session's
  // end.
  virtual Status Discard(const CallContext& ctx, std::span<const InodeId> inodes) = 0;

  // ---- reclaim ----

  // Objects that nothing refers to any more. Blocks until there are some or the time is over.
  virtual Result<std::vector<ReclaimItem>> WaitReclaimable(uint32_t limit,
                                                           std::chrono::milliseconds wait) = 0;
  // The objects of these items are gone from their volumes, durably enough to forget them.
  virtual Status Reclaimed(std::span<const ReclaimItem> items) = 0;

  // ---- volumes and policies ----

  virtual Result<VolumeInfo> AddVolume(const VolumeInfo& volume) = 0;  // id is assigned; kExists
  virtual Result<std::vector<VolumeInfo>> ListVolumes() = 0;
  // Sets state, weight, reserve, copy rate and labels of the volume with this id. A state that is
  // as ListVolumes shows it stays as it was set. kNotFound.
  virtual Status UpdateVolume(const VolumeInfo& volume) = 0;
  // Forgets a volume. kNotFound, and unless `lost`: kNotEmpty (it holds replicas), kBusy (objects
  // there are still to be reclaimed, or set aside), kInvalid (a policy pins it). lost: with all
  // that lies there, which must be out of reach (kBusy). Files with another current replica go on
  // with that. Of the others the replica stays, as kMissing: they cannot be read, and are there
  // until they are removed. Blocks for a look at each of its files; may be repeated after a crash.
  virtual Status RemoveVolume(VolumeId volume, bool lost) = 0;
  // kept in memory only: how a volume is doing on its node.
  virtual Status ReportVolume(const VolumeReport& report) = 0;
  // Inodes with a replica on the volume, in order, behind `after`.
  virtual Result<std::vector<InodeId>> ListVolumeInodes(VolumeId volume, InodeId after,
                                                        uint32_t limit) = 0;

  virtual Result<PolicyView> GetPolicy(InodeId inode) = 0;
  // Replaces the directory's own policy; an empty one removes it. kNotDirectory, kInvalid (unknown
  // volume, contradictions).
  virtual Status SetPolicy(const CallContext& ctx, InodeId directory, const Policy& policy) = 0;

  // ---- records of other services (jobs) ----

  // Records with keys in [prefix + after, end of prefix), in order; `after` itself is left out.
  virtual Result<std::vector<Record>> ScanRecords(std::string_view prefix, std::string_view after,
                                                  uint32_t limit) = 0;
  virtual Status WriteRecords(std::span<const RecordWrite> writes, bool sync) = 0;

  virtual Result<Statistics> GetStatistics() = 0;
  // Writes all records, as of one moment, to a file that is made or replaced whole (meta/dump.h).
  virtual Status Dump(const DumpTarget& target) = 0;

  // Null where the store is hosted by another process. Lives as long as the service.
  virtual StoreKeeper* keeper() { return nullptr; }
};

// The reverse of ToText(Policy). kInvalid names the offending word.
Result<Policy> ParsePolicy(std::string_view text);

// What ScanRecords and ListVolumeInodes hand out a page at a time, from the first to the last.
// `visit` is called for each in order; its first error, or one of the service, ends it and is
// returned. What comes or goes meanwhile is visited or not. Blocks for the store.
Status ForEachRecord(MetadataService& metadata, std::string_view prefix,
                     const std::function<Status(const Record& record)>& visit);
Status ForEachInodeOn(MetadataService& metadata, VolumeId volume,
                      const std::function<Status(InodeId inode)>& visit);

}  // namespace pxfs::meta
