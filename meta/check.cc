#include "meta/check.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "meta/check_census.h"
#include "meta/keys.h"
#include "meta/posix_acl.h"
#include "meta/schema.h"
#include "meta/slots.h"

namespace pxfs::meta {
namespace {

class Checker {
 public:
  Checker(Census census, SlotOf slot_of)
      : census_(std::move(census)),
        slot_of_(std::move(slot_of)),
        problems_(std::move(census_.problems)) {}

  std::vector<std::string> Run();

 private:
  void Say(InodeId inode, const std::string& what) {
    problems_.push_back("inode " + ToHex(inode.value) + ": " + what);
  }
  void CheckMissing(InodeId id, const CensusInode& inode);
  void CheckInode(InodeId id, const CensusInode& inode);
  void CheckNames(InodeId id, const CensusInode& inode);
  void CheckRemoved(InodeId id, const CensusInode& inode);
  void CheckDirectory(InodeId id, const CensusInode& inode);
  void CheckChains(InodeId id, const CensusInode& inode);
  void CheckReplicas(InodeId id, const CensusInode& inode);
  void CheckXattrs(InodeId id, const CensusInode& inode);
  void CheckReachable(InodeId id);

  Census census_;
  const SlotOf slot_of_;
  std::vector<std::string> problems_;
  std::set<InodeId> reachable_;  // directories known to lead up to a root
};

// Records that speak of an inode which is not there.
void Checker::CheckMissing(InodeId id, const CensusInode& inode) {
  for (const auto& [place, name] : inode.names)
    Say(id,
        "missing, but \"" + name + "\" in directory " + ToHex(place.first.value) + " refers to it");
  if (!inode.slots.empty()) Say(id, "missing, but has directory entries");
  if (!inode.link_records.empty()) Say(id, "missing, but has link records");
  if (!inode.xattrs.empty()) Say(id, "missing, but has extended attributes");
  if (!inode.indexed_on.empty()) Say(id, "missing, but indexed on a volume");
  if (!inode.writers.empty()) Say(id, "missing, but recorded as open for writing");
  if (inode.orphan) Say(id, "missing, but recorded as an orphan");
  if (inode.reclaim_items > 0) Say(id, "missing, but queued for reclaim");
  if (inode.reserved_detached) Say(id, "missing, but reserved as a detached directory");
  if (inode.has_policy) Say(id, "missing, but has a policy");
}

void Checker::CheckNames(InodeId id, const CensusInode& inode) {
  const InodeRecord& record = *inode.record;
  const bool directory = record.attr.is_directory();
  const bool root = id == kRootInode || record.detached;
  if (directory && inode.names.size() != (root ? 0u : 1u))
    Say(id, "a directory with " + std::to_string(inode.names.size()) + " names");
  if (!directory && record.attr.nlink != inode.names.size())
    Say(id, "link count " + std::to_string(record.attr.nlink) + ", but " +
                std::to_string(inode.names.size()) + " names");
  if (inode.names.empty()) return;
  const bool named = std::any_of(inode.names.begin(), inode.names.end(), [&](const auto& name) {
    return name.first.first == record.parent && name.second == record.name;
  });
  if (!named)
    Say(id, "says that it is \"" + record.name + "\" in directory " + ToHex(record.parent.value) +
                ", and is not");
  const bool several = !directory && record.attr.nlink > 1;
  if (several && inode.link_records != inode.names) Say(id, "link records and names differ");
  if (!several && !inode.link_records.empty()) Say(id, "link records, but one name");
}

void Checker::CheckRemoved(InodeId id, const CensusInode& inode) {
  if (!inode.names.empty()) Say(id, "removed, but has a name");
  if (!inode.slots.empty() && inode.record->entries > 0) Say(id, "removed, but not empty");
  if (!inode.link_records.empty()) Say(id, "removed, but has link records");
  if (inode.orphan && inode.reclaim_items > 0) Say(id, "held as an orphan and queued for reclaim");
  if (!inode.orphan && inode.reclaim_items == 0)
    Say(id, "no name, not held as an orphan and not queued for reclaim");
  if (inode.reclaim_items > 1) Say(id, "queued for reclaim more than once");
  if (inode.orphan && inode.orphan->holders.empty()) Say(id, "an orphan that nobody holds");
}

void Checker::CheckDirectory(InodeId id, const CensusInode& inode) {
  const InodeRecord& record = *inode.record;
  uint64_t entries = 0, directories = 0;
  for (const auto& [slot, entry] : inode.slots) {
    if (entry.removed()) continue;
    ++entries;
    if (S_ISDIR(entry.type)) ++directories;
    const auto child = census_.inodes.find(entry.child);
    if (child != census_.inodes.end() && child->second.record &&
        (child->second.record->attr.mode & S_IFMT) != entry.type)
      Say(id, "the entry \"" + entry.name + "\" has the wrong type");
  }
  if (record.entries != entries)
    Say(id,
        "counts " + std::to_string(record.entries) + " entries, has " + std::to_string(entries));
  if (record.directories != directories)
    Say(id, "counts " + std::to_string(record.directories) + " directories, has " +
                std::to_string(directories));
  if (!record.removed() && record.attr.nlink != 2 + directories)
    Say(id, "link count " + std::to_string(record.attr.nlink) + " of a directory with " +
                std::to_string(directories) + " directories in it");
  CheckChains(id, inode);
}

// Every name is found from the slot that it belongs in.
void Checker::CheckChains(InodeId id, const CensusInode& inode) {
  for (const auto& [slot, entry] : inode.slots) {
    if (entry.chained && !inode.record->collided)
      Say(id, "chained entries that it does not know of");
    if (entry.removed()) continue;
    for (uint64_t at = slot_of_(entry.name); at != slot; at = NextSlot(at)) {
      const auto before = inode.slots.find(at);
      if (before != inode.slots.end() && before->second.chained) continue;
      Say(id, "the entry \"" + entry.name + "\" cannot be found by its name");
      break;
    }
  }
}

void Checker::CheckReplicas(InodeId id, const CensusInode& inode) {
  const InodeRecord& record = *inode.record;
  std::set<VolumeId> volumes;
  int primaries = 0;
  for (const Replica& replica : record.replicas) {
    volumes.insert(replica.volume);
    primaries += replica.primary ? 1 : 0;
    if (replica.state == ReplicaState::kCurrent && replica.generation != record.attr.generation)
      Say(id, "a replica of generation " + std::to_string(replica.generation) +
                  " counts as current, the content is of " +
                  std::to_string(record.attr.generation));
    if (!census_.volumes.contains(replica.volume))
      Say(id, "a replica on volume " + std::to_string(replica.volume.value) + ", which is unknown");
  }
  if (volumes != inode.indexed_on) Say(id, "its replicas and the index of volumes differ");
  if (record.attr.is_regular() && primaries != 1)
    Say(id, std::to_string(primaries) + " primary replicas");
  if (!record.attr.is_regular() && !record.replicas.empty())
    Say(id, "replicas of what has no content");
}

void Checker::CheckXattrs(InodeId id, const CensusInode& inode) {
  const InodeRecord& record = *inode.record;
  if (record.xattrs != inode.xattrs.size())
    Say(id, "counts " + std::to_string(record.xattrs) + " extended attributes, has " +
                std::to_string(inode.xattrs.size()));
  if (record.access_acl != inode.xattrs.contains(std::string(kAccessAclName)) ||
      record.default_acl != inode.xattrs.contains(std::string(kDefaultAclName)))
    Say(id, "does not know its ACLs");
}

void Checker::CheckInode(InodeId id, const CensusInode& inode) {
  const InodeRecord& record = *inode.record;
  if (id >= InodeId(census_.next_inode) && id != kRootInode)
    Say(id, "its number may be given out again");
  if (record.removed()) {
    CheckRemoved(id, inode);
  } else {
    CheckNames(id, inode);
    if (inode.orphan) Say(id, "has a name, but is recorded as an orphan");
    if (inode.reclaim_items > 0) Say(id, "has a name, but is queued for reclaim");
  }
  if (record.attr.is_directory())
    CheckDirectory(id, inode);
  else if (!inode.slots.empty())
    Say(id, "entries in what is no directory");
  if (record.writers != inode.writers.size())
    Say(id, "counts " + std::to_string(record.writers) + " writers, has " +
                std::to_string(inode.writers.size()));
  if (record.detached != inode.reserved_detached) Say(id, "detached, and nobody's, or the reverse");
  if (inode.reserved_object) Say(id, "exists, but its object is reserved");
  if (inode.has_policy && (!record.attr.is_directory() || record.removed()))
    Say(id, "a policy of what is no directory");
  CheckReplicas(id, inode);
  CheckXattrs(id, inode);
}

// The directories above lead to the root, or to one that is detached or removed.
void Checker::CheckReachable(InodeId id) {
  std::set<InodeId> walked;
  for (InodeId at = id; at != kRootInode && !reachable_.contains(at);) {
    if (!walked.insert(at).second) {
      Say(id, "the directories above it form a loop");
      return;
    }
    const auto it = census_.inodes.find(at);
    if (it == census_.inodes.end() || !it->second.record) return;  // said elsewhere
    const InodeRecord& record = *it->second.record;
    if (record.detached || record.removed()) break;
    at = record.parent;
  }
  reachable_.merge(walked);
}

std::vector<std::string> Checker::Run() {
  for (const auto& [id, inode] : census_.inodes) {
    if (!inode.record) {
      CheckMissing(id, inode);
      continue;
    }
    CheckInode(id, inode);
    if (inode.record->attr.is_directory()) CheckReachable(id);
  }
  for (const SessionId session : census_.mentioned_sessions)
    if (!census_.sessions.contains(session))
      problems_.push_back("session " + std::to_string(session.value) +
                          ": gone, but records of it are left");
  return std::move(problems_);
}

}  // namespace

Result<std::vector<std::string>> CheckStore(KvEngine& engine, const CheckOptions& options) {
  PXFS_ASSIGN(const SchemaRecord schema, OpenSchema(engine));
  PXFS_ASSIGN(Census census, TakeCensus(engine));
  return Checker(std::move(census), SlotFunction(options.name_hash, schema.name_seed)).Run();
}

}  // namespace pxfs::meta
