// The values that cross the metadata interface: attributes, replicas, volumes, policies.
// Plain structs; how they are stored is meta/'s own affair, how they travel is rpc/'s.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/ids.h"

namespace pxfs::meta {

inline constexpr size_t kMaxNameBytes = 255;
inline constexpr size_t kMaxSymlinkBytes = 4095;
inline constexpr size_t kMaxXattrNameBytes = 255;
inline constexpr size_t kMaxXattrValueBytes = 65536;
inline constexpr uint32_t kMaxLinks = 65000;

// Nanosecond wall-clock time; seconds may be negative, nanoseconds are 0..999,999,999.
struct Timestamp {
  int64_t seconds = 0;
  uint32_t nanoseconds = 0;
  friend constexpr auto operator<=>(const Timestamp&, const Timestamp&) = default;
};

// Flags of an inode, with the values of FS_*_FL in <linux/fs.h>; others are not kept. Nobody, root
// neither, changes what is immutable: content, attributes, or in a directory its names. What is
// append-only grows, and nothing else: files at their end, directories by new names.
inline constexpr uint32_t kImmutable = 0x10, kAppendOnly = 0x20;
inline constexpr uint32_t kKeptFlags = kImmutable | kAppendOnly;

// What stat(2) shows of an inode, and its flags. `mode` holds the type bits (S_IFMT) too.
struct Attr {
  InodeId inode;
  uint32_t mode = 0;
  uint32_t nlink = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t rdev = 0;
  uint64_t size_bytes = 0;
  uint64_t blocks = 0;  // of 512 bytes
  Timestamp atime, mtime, ctime, btime;
  uint64_t generation = 0;  // of the content: raised when the file is opened for writing
  uint32_t flags = 0;       // kImmutable, kAppendOnly
  // Some session has the file open for writing: its size and times are those of the primary's
  // object, not the ones here, and must not be cached.
  bool open_for_write = false;

  bool is_directory() const { return S_ISDIR(mode); }
  bool is_regular() const { return S_ISREG(mode); }
  bool is_symlink() const { return S_ISLNK(mode); }
};

enum class ReplicaState : uint8_t { kCurrent = 1, kStale = 2, kCopying = 3, kMissing = 4 };

// One copy of an inode's content. The object's name is (inode, object_generation).
struct Replica {
  VolumeId volume;
  uint64_t object_generation = 0;  // the content generation at which this object was made
  uint64_t generation = 0;         // the content generation that it holds
  ReplicaState state = ReplicaState::kCurrent;
  bool primary = false;
  // False until the first writer has closed the file: the object may not exist yet, and a missing
  // one means an empty file. True: a missing object is a lost replica.
  bool materialized = false;
  std::optional<Hash128> checksum;  // of the content at `generation`, where known
  // When the object was last read whole and found to have this checksum, since 1970; 0: never.
  int64_t verified_seconds = 0;
};

// The copies that a file asks for itself, beyond what the policy of its directory does.
struct CopyWishes {
  uint32_t copies = 0;         // at least so many; 0: as the policy says
  std::set<VolumeId> volumes;  // one on each of these (pins)

  bool empty() const { return copies == 0 && volumes.empty(); }
  friend bool operator==(const CopyWishes&, const CopyWishes&) = default;
};

// Where an inode's content is, and what it looks like.
struct Location {
  Attr attr;
  std::vector<Replica> replicas;  // the primary first; empty for anything but regular files
  CopyWishes wishes = {};
  bool relayed = false;  // its policy says passthrough=off or commit=close
  // With commit=close: so many copies are to be there when fsync and close of a writer return; else
  // 0.
  uint32_t commit_copies = 0;
};

// What a writer found in the object when it closed it or made it durable.
struct ContentState {
  uint64_t size_bytes = 0;
  uint64_t blocks = 0;
  Timestamp atime, mtime, ctime;
  std::optional<Hash128> checksum;  // only where it was computed over exactly this content
};

// A partial change of attributes; what is absent stays. ctime becomes now in every case.
struct AttrChange {
  std::optional<uint32_t> mode = {};  // permission bits only (07777)
  std::optional<uint32_t> uid = {}, gid = {};
  std::optional<Timestamp> atime = {}, mtime = {};
  bool atime_now = false, mtime_now = false;
  // Clears setuid and setgid as writing and chown do on Linux; directories keep them.
  bool clear_suid = false;
  // The new content after a truncation, already done on the object.
  std::optional<ContentState> content = {};
  // An atime learned from the object: stored without a new ctime when it is the only change.
  bool atime_only = false;
  std::optional<uint32_t> flags = {};  // all of kKeptFlags; superusers only
};

struct NewNode {
  uint32_t mode = 0;   // with type bits
  uint32_t umask = 0;  // applied unless the parent has a default ACL
  uint64_t rdev = 0;   // for device nodes
  std::string symlink_target = {};
};

struct DirEntry {
  std::string name;
  Attr attr;            // only inode and type bits of mode, unless attributes were asked for
  uint64_t cookie = 0;  // readdir continues behind this entry; never 0, below 2^63
};

struct DirPage {
  std::vector<DirEntry> entries;  // without "." and ".."
  InodeId parent;                 // of the directory, for ".."
  bool end = false;               // no entry follows the last one
};

// A name that an operation took away from an inode.
struct Removed {
  InodeId inode;
  // That was the last name. The inode lives on as an orphan until every session that may hold it
  // has called Forget.
  bool orphaned = false;
};

struct StatFs {
  uint64_t total_bytes = 0, free_bytes = 0, available_bytes = 0;
  uint64_t inodes = 0;
};

// ---- volumes ----

enum class VolumeState : uint8_t { kOnline = 1, kReadOnly = 2, kDraining = 3, kOffline = 4 };
const char* ToString(VolumeState state);
const char* ToString(ReplicaState state);

struct VolumeInfo {
  VolumeId id;
  std::string name;
  std::string uuid;  // in the identity file at its root
  std::string path;  // absolute, on its node
  NodeId node;
  VolumeState state = VolumeState::kOnline;
  double weight = 1.0;
  uint64_t reserve_bytes = 0;  // placement leaves this much free
  uint64_t copy_rate = 0;      // bytes a second that copying may read or write there; 0: no limit
  std::map<std::string, std::string> labels;
  // As last reported by the node (ReportVolume); zero until then.
  uint64_t total_bytes = 0, free_bytes = 0;
  std::string problem;  // why it is offline, for people
  // Kept by the metadata service.
  uint64_t objects = 0, object_bytes = 0;
  // It was out of reach, and not everything there has been looked at since: what it is back with
  // may be older than metadata says (volumes/returned_volume.h).
  bool unsettled = false;
};

struct VolumeReport {
  VolumeId volume;
  bool usable = true;
  bool read_only = false;
  uint64_t total_bytes = 0, free_bytes = 0;
  std::string problem;
};

// ---- policies ----

enum class Placement : uint8_t { kSpread = 1, kMostFree, kLocalFirst, kColocate, kPin };

// What a directory tree asks for. Absent values are inherited from the directory above, and at the
// root from the defaults (spread, one copy, hot on).
struct Policy {
  std::optional<Placement> placement;
  std::string pin_volume;  // the volume's name, with kPin
  std::optional<uint32_t> copies;
  std::optional<bool> hot;
  std::optional<uint32_t> max_copies;
  std::optional<bool> passthrough;  // whether kernels may reach the content past the daemon
  // Whether fsync and close of a writer return only when all copies are there (commit=close), or
  // before they are made (commit=async).
  std::optional<bool> commit_close;
  std::map<std::string, std::string> labels;  // a volume must have all of these

  bool empty() const {
    return !placement && !copies && !hot && !max_copies && !passthrough && !commit_close &&
           labels.empty();
  }
};

// "placement=pin pin=fast copies=2 tier=ssd ..." <-> Policy. The text form is what people type and
// what user.pxfs.policy holds: space-separated KEY=VALUE, placement also as a bare word.
std::string ToText(const Policy& policy);

struct PolicyView {
  Policy own;        // set on this directory itself
  Policy effective;  // with everything inherited filled in
  InodeId set_on;    // the nearest directory, upwards, with a policy of its own; 0: none
};

}  // namespace pxfs::meta
