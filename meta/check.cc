#include "meta/check.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "meta/check_census.h"
#include "meta/check_survey.h"
#include "meta/counters.h"
#include "meta/keys.h"
#include "meta/posix_acl.h"
#include "meta/schema.h"
#include "meta/slots.h"

namespace pxfs::meta {
namespace {

// Objects of files that are removed bear numbers too: so far a counter of inodes that is not to be
// trusted goes on behind the last number that is seen.
constexpr uint64_t kSkippedNumbers = uint64_t{1} << 32;

// What a damaged record is replaced by; empty: it is better gone.
std::string RightValue(const std::string& key, const Census& census, const Survey& survey) {
  if (key == keys::Counter(kNextInode)) return EncodeNumber(census.last_inode + kSkippedNumbers);
  if (key == keys::Counter("next ticket")) return EncodeNumber(census.last_ticket + 1);
  if (key == keys::Counter("next session")) return EncodeNumber(census.last_session + 1);
  if (key == keys::Counter("next volume")) return EncodeNumber(census.last_volume + 1);
  if (key == keys::Counter("content epoch")) return EncodeNumber(survey.last_epoch + 1);
  return "";
}

// Checks the inodes of one part.
class Checker {
 public:
  Checker(Census census, const SlotOf& slot_of, const Survey& survey, const CheckVisitor& visitor)
      : census_(std::move(census)), slot_of_(slot_of), survey_(survey), visitor_(visitor) {}

  Status Run();

 private:
  void Say(FindingKind kind, InodeId inode, const std::string& what) {
    broken_ = true;
    visitor_.found({kind, inode, {}, what});
  }
  void CheckMissing(InodeId id, const CensusInode& inode);
  void CheckInode(InodeId id, const CensusInode& inode);
  void CheckNames(InodeId id, const CensusInode& inode);
  void CheckRemoved(InodeId id, const CensusInode& inode);
  void CheckDirectory(InodeId id, const CensusInode& inode);
  void CheckChains(InodeId id, const CensusInode& inode);
  void CheckReplicas(InodeId id, const CensusInode& inode);
  void CheckXattrs(InodeId id, const CensusInode& inode);

  const Census census_;
  const SlotOf& slot_of_;
  const Survey& survey_;
  const CheckVisitor& visitor_;
  bool broken_ = false;  // the inode that is looked at
};

// Records that speak of an inode which is not there.
void Checker::CheckMissing(InodeId id, const CensusInode& inode) {
  std::string left;
  const auto has = [&](bool there, const std::string& what) {
    if (there) left += (left.empty() ? "" : ", ") + what;
  };
  for (const auto& [place, name] : inode.names)
    has(true, "\"" + name + "\" in directory " + ToHex(place.first.value) + " refers to it");
  has(!inode.slots.empty(), "has directory entries");
  has(!inode.link_records.empty(), "has link records");
  has(!inode.xattrs.empty(), "has extended attributes");
  has(!inode.indexed_on.empty(), "indexed on a volume");
  has(!inode.writers.empty(), "recorded as open for writing");
  has(inode.orphan.has_value(), "recorded as an orphan");
  has(!inode.reclaim_tickets.empty(), "queued for reclaim");
  has(inode.reserved_detached, "reserved as a detached directory");
  has(inode.has_policy, "has a policy");
  if (left.empty()) return;
  // That the record is damaged is said already.
  if (inode.damaged)
    broken_ = true;
  else
    Say(FindingKind::kDangling, id, "missing, but " + left);
}

void Checker::CheckNames(InodeId id, const CensusInode& inode) {
  const InodeRecord& record = *inode.record;
  for (const auto& [place, traits] : inode.entry_traits)
    if (traits.type != (record.attr.mode & S_IFMT))
      Say(FindingKind::kDirectory, id,
          "its entry \"" + inode.names.at(place) + "\" in directory " + ToHex(place.first.value) +
              " has the wrong type");
  const bool directory = record.attr.is_directory();
  const bool root = id == kRootInode || record.detached;
  if (inode.names.empty() && !root) {
    Say(FindingKind::kUnreachable, id,
        record.name.empty() ? "no name leads to it"
                            : "the name \"" + record.name + "\" in directory " +
                                  ToHex(record.parent.value) + ", which led to it, is gone");
    return;
  }
  if (directory && inode.names.size() != (root ? 0u : 1u))
    Say(FindingKind::kLinks, id,
        "a directory with " + std::to_string(inode.names.size()) + " names");
  if (!directory && record.attr.nlink != inode.names.size())
    Say(FindingKind::kLinks, id,
        "link count " + std::to_string(record.attr.nlink) + ", but " +
            std::to_string(inode.names.size()) + " names");
  if (inode.names.empty()) return;
  const bool named = std::any_of(inode.names.begin(), inode.names.end(), [&](const auto& name) {
    return name.first.first == record.parent && name.second == record.name;
  });
  if (!named)
    Say(FindingKind::kLinks, id,
        "says that it is \"" + record.name + "\" in directory " + ToHex(record.parent.value) +
            ", and is not");
  const bool several = !directory && record.attr.nlink > 1;
  if (several && inode.link_records != inode.names)
    Say(FindingKind::kLinks, id, "link records and names differ");
  if (!several && !inode.link_records.empty())
    Say(FindingKind::kLinks, id, "link records, but one name");
}

void Checker::CheckRemoved(InodeId id, const CensusInode& inode) {
  if (!inode.names.empty()) Say(FindingKind::kOrphan, id, "removed, but has a name");
  if (!inode.slots.empty() && inode.record->entries > 0)
    Say(FindingKind::kOrphan, id, "removed, but not empty");
  if (!inode.link_records.empty()) Say(FindingKind::kOrphan, id, "removed, but has link records");
  if (inode.orphan && !inode.reclaim_tickets.empty())
    Say(FindingKind::kOrphan, id, "held as an orphan and queued for reclaim");
  if (!inode.orphan && inode.reclaim_tickets.empty())
    Say(FindingKind::kOrphan, id, "no name, not held as an orphan and not queued for reclaim");
  if (inode.reclaim_tickets.size() > 1)
    Say(FindingKind::kOrphan, id, "queued for reclaim more than once");
  if (inode.orphan && inode.orphan->holders.empty())
    Say(FindingKind::kOrphan, id, "an orphan that nobody holds");
}

void Checker::CheckDirectory(InodeId id, const CensusInode& inode) {
  const InodeRecord& record = *inode.record;
  uint64_t entries = 0, directories = 0;
  for (const auto& [slot, entry] : inode.slots) {
    if (entry.removed()) continue;
    ++entries;
    if (S_ISDIR(entry.type)) ++directories;
  }
  if (record.entries != entries)
    Say(FindingKind::kDirectory, id,
        "counts " + std::to_string(record.entries) + " entries, has " + std::to_string(entries));
  if (record.directories != directories)
    Say(FindingKind::kDirectory, id,
        "counts " + std::to_string(record.directories) + " directories, has " +
            std::to_string(directories));
  if (!record.removed() && record.attr.nlink != 2 + directories)
    Say(FindingKind::kDirectory, id,
        "link count " + std::to_string(record.attr.nlink) + " of a directory with " +
            std::to_string(directories) + " directories in it");
  CheckChains(id, inode);
}

// Every name is found from the slot that it belongs in.
void Checker::CheckChains(InodeId id, const CensusInode& inode) {
  for (const auto& [slot, entry] : inode.slots) {
    if (entry.chained && !inode.record->collided)
      Say(FindingKind::kDirectory, id, "chained entries that it does not know of");
    if (entry.removed()) continue;
    for (uint64_t at = slot_of_(entry.name); at != slot; at = NextSlot(at)) {
      const auto before = inode.slots.find(at);
      if (before != inode.slots.end() && before->second.chained) continue;
      Say(FindingKind::kDirectory, id,
          "the entry \"" + entry.name + "\" cannot be found by its name");
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
      Say(FindingKind::kReverseIndex, id,
          "a replica of generation " + std::to_string(replica.generation) +
              " counts as current, the content is of " + std::to_string(record.attr.generation));
    // What was lost with its volume stays known as lost.
    if (!census_.volumes.contains(replica.volume) && replica.state != ReplicaState::kMissing)
      Say(FindingKind::kReverseIndex, id,
          "a replica on volume " + std::to_string(replica.volume.value) + ", which is unknown");
  }
  if (volumes != inode.indexed_on)
    Say(FindingKind::kReverseIndex, id, "its replicas and the index of volumes differ");
  if (record.attr.is_regular() && primaries != 1)
    Say(FindingKind::kReverseIndex, id, std::to_string(primaries) + " primary replicas");
  if (!record.attr.is_regular() && !record.replicas.empty())
    Say(FindingKind::kReverseIndex, id, "replicas of what has no content");
}

void Checker::CheckXattrs(InodeId id, const CensusInode& inode) {
  const InodeRecord& record = *inode.record;
  if (record.xattrs != inode.xattrs.size())
    Say(FindingKind::kXattr, id,
        "counts " + std::to_string(record.xattrs) + " extended attributes, has " +
            std::to_string(inode.xattrs.size()));
  if (record.access_acl != inode.xattrs.contains(std::string(kAccessAclName)) ||
      record.default_acl != inode.xattrs.contains(std::string(kDefaultAclName)))
    Say(FindingKind::kXattr, id, "does not know its ACLs");
}

void Checker::CheckInode(InodeId id, const CensusInode& inode) {
  const InodeRecord& record = *inode.record;
  if (record.removed()) {
    CheckRemoved(id, inode);
  } else {
    CheckNames(id, inode);
    if (inode.orphan) Say(FindingKind::kOrphan, id, "has a name, but is recorded as an orphan");
    if (!inode.reclaim_tickets.empty())
      Say(FindingKind::kOrphan, id, "has a name, but is queued for reclaim");
  }
  if (record.attr.is_directory())
    CheckDirectory(id, inode);
  else if (!inode.slots.empty())
    Say(FindingKind::kDirectory, id, "entries in what is no directory");
  if (record.writers != inode.writers.size())
    Say(FindingKind::kOpenRecord, id,
        "counts " + std::to_string(record.writers) + " writers, has " +
            std::to_string(inode.writers.size()));
  if (record.detached != inode.reserved_detached)
    Say(FindingKind::kReservation, id, "detached, and nobody's, or the reverse");
  if (inode.reserved_object)
    Say(FindingKind::kReservation, id, "exists, but its object is reserved");
  if (inode.has_policy && (!record.attr.is_directory() || record.removed()))
    Say(FindingKind::kPolicy, id, "a policy of what is no directory");
  CheckReplicas(id, inode);
  CheckXattrs(id, inode);
}

Status Checker::Run() {
  for (const Census::Damaged& record : census_.damaged) {
    visitor_.found({FindingKind::kDamagedRecord, record.inode, {}, record.what});
    if (visitor_.mend) visitor_.mend(record.key, RightValue(record.key, census_, survey_));
  }
  for (const auto& [id, inode] : census_.inodes) {
    broken_ = false;
    const bool loop = survey_.loops.contains(id);
    if (loop) Say(FindingKind::kUnreachable, id, "the directories above it form a loop");
    if (inode.record)
      CheckInode(id, inode);
    else
      CheckMissing(id, inode);
    if (broken_ && visitor_.broken) PXFS_TRY(visitor_.broken(id, inode, loop));
  }
  return {};
}

// What is about no inode.
void CheckSessions(const Census& census, const CheckOptions& options, const CheckVisitor& visitor) {
  const auto say = [&](const std::string& what) {
    visitor.found({FindingKind::kSession, InodeId(), {}, what});
  };
  for (const SessionId session : census.mentioned_sessions)
    if (!census.sessions.contains(session))
      say("session " + std::to_string(session.value) + ": gone, but records of it are left");
  if (!options.offline) return;
  for (const auto& [session, description] : census.sessions)
    say("session " + std::to_string(session.value) + " (" + description + "): its process is gone");
}

void CheckCounters(const Census& census, const CheckVisitor& visitor) {
  // A store that nothing was made in has no such counter yet.
  const uint64_t next_inode = std::max(census.next_inode, kRootInode.value + 1);
  if (census.last_inode < next_inode) return;
  visitor.found(
      {FindingKind::kCounter, InodeId(census.last_inode), {}, "its number may be given out again"});
  if (visitor.mend)
    visitor.mend(keys::Counter(kNextInode), EncodeNumber(census.last_inode + kSkippedNumbers));
}

}  // namespace

Status WalkStore(KvEngine& engine, const CheckOptions& options, const CheckVisitor& caller) {
  PXFS_ASSIGN(const SchemaRecord schema, OpenSchema(engine));
  const SlotOf slot_of = SlotFunction(options.name_hash, schema.name_seed);
  PXFS_ASSIGN(const Survey survey, TakeSurvey(engine, options.part_inodes));
  bool clean = true;
  CheckVisitor visitor = caller;
  visitor.found = [&](Finding finding) {
    clean = false;
    if (caller.found) caller.found(std::move(finding));
  };
  for (const InodeRange& part : survey.parts) {
    PXFS_ASSIGN(Census census, TakeCensus(engine, part));
    if (part.begin == InodeId()) {
      CheckSessions(census, options, visitor);
      CheckCounters(census, visitor);
    }
    PXFS_TRY(Checker(std::move(census), slot_of, survey, visitor).Run());
  }
  if (!options.offline || survey.totals_right) return {};
  // Where an inode is missing they cannot be right, and that is no other problem.
  if (clean)
    visitor.found({FindingKind::kCounter,
                   InodeId(),
                   {},
                   "the totals of inodes, objects and bytes are wrong"});
  if (visitor.mend) visitor.mend(survey.totals_key, "");
  return {};
}

Result<std::vector<std::string>> CheckStore(KvEngine& engine, const CheckOptions& options) {
  std::vector<std::string> problems;
  CheckVisitor visitor;
  visitor.found = [&](const Finding& finding) { problems.push_back(finding.Text()); };
  PXFS_TRY(WalkStore(engine, options, visitor));
  return problems;
}

}  // namespace pxfs::meta
