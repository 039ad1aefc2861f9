#include "meta/fsck.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/bytes.h"
#include "meta/content.h"
#include "meta/copy_queue.h"
#include "meta/counters.h"
#include "meta/keys.h"
#include "meta/leveldb_engine.h"
#include "meta/names.h"
#include "meta/store_lock.h"

namespace pxfs::meta {
namespace {

// What one pass mends can uncover something for the next, a few times at most.
constexpr int kPasses = 8;

CheckOptions Options() {
  CheckOptions options;
  options.offline = true;
  return options;
}

// The last directory of the path, made as far as it is not there; null: something is no directory.
Result<InodeRecord*> MakeWay(Transaction& tx, Store& store, const std::string& path) {
  PXFS_ASSIGN(InodeRecord * directory, tx.EditInode(kRootInode));
  for (size_t begin = 1, end; (end = path.find('/', begin)) != std::string::npos; begin = end + 1) {
    const std::string name = path.substr(begin, end - begin);
    if (!CheckName(name)) return nullptr;
    PXFS_ASSIGN(const Transaction::Found found, tx.FindEntry(directory->attr.inode, name));
    if (found.entry) {
      if (!S_ISDIR(found.entry->type)) return nullptr;
      PXFS_ASSIGN(directory, tx.EditInode(found.entry->child));
      continue;
    }
    PXFS_ASSIGN(const InodeId id, store.NewInodes());
    InodeRecord& made = AddDirectory(tx, id, 0755, store.Now());
    PXFS_TRY(AddName(tx, *directory, name, made, store.Now()));
    directory = &made;
  }
  return directory;
}

}  // namespace

StoreFsck::StoreFsck(std::unique_ptr<KvEngine> engine, UniqueFd lock)
    : lock_(std::move(lock)), engine_(std::move(engine)) {}

Result<std::unique_ptr<StoreFsck>> StoreFsck::Open(const std::string& directory,
                                                   std::chrono::milliseconds lock_wait) {
  auto lock = LockStore(directory + "/lock", lock_wait);
  if (!lock && lock.error() == Code::kNotFound)
    return Fail(Code::kNotFound, "no metadata store: " + directory);
  if (!lock) return Fail(lock.error());
  PXFS_ASSIGN(std::unique_ptr<KvEngine> engine, OpenLevelDb(directory + "/leveldb", false));
  return std::unique_ptr<StoreFsck>(new StoreFsck(std::move(engine), std::move(*lock)));
}

Status StoreFsck::OpenStore() {
  if (store_) return {};
  PXFS_ASSIGN(store_, Store::Open(std::move(engine_), {}));
  return {};
}

Result<std::vector<Finding>> StoreFsck::Check() {
  std::vector<Finding> findings;
  CheckVisitor visitor;
  visitor.found = [&](Finding finding) { findings.push_back(std::move(finding)); };
  PXFS_TRY(WalkStore(engine(), Options(), visitor));
  for (Finding& finding : findings)
    if (finding.inode) finding.path = PathOf(finding.inode);
  return findings;
}

Status StoreFsck::Repair(const FindObject& find_object, InodeId last_object) {
  PXFS_TRY(MendRecords(engine(), Options()));
  PXFS_TRY(OpenStore());
  if (last_object >= store_->NextInode())
    PXFS_TRY(store_->NewInodes(last_object.value - store_->NextInode().value + 1));
  for (int pass = 0; pass < kPasses; ++pass) {
    PXFS_ASSIGN(const bool changed, RepairOnce(*store_, Options(), find_object));
    if (!changed) break;
  }
  return Sync();
}

Result<std::vector<VolumeInfo>> StoreFsck::ListVolumes() {
  std::vector<VolumeInfo> volumes;
  const std::string begin = keys::Make(keys::Family::kVolume);
  PXFS_TRY(
      engine().Scan(begin, keys::EndOf(begin), [&](std::string_view key, std::string_view value) {
        uint64_t id = 0;
        auto volume = Decode<VolumeInfo>(key, value);
        if (volume && keys::ReadNumber(key, 0, &id)) {
          volume->id = VolumeId(id);
          volumes.push_back(std::move(*volume));
        }
        return true;
      }));
  return volumes;
}

Status StoreFsck::ForEachFile(const std::function<Status(const Location& file)>& visit) {
  Status status;
  const std::string begin = keys::Make(keys::Family::kInode);
  PXFS_TRY(
      engine().Scan(begin, keys::EndOf(begin), [&](std::string_view key, std::string_view value) {
        const auto inode = Decode<InodeRecord>(key, value);
        if (inode && inode->attr.is_regular() && !inode->removed())
          status = visit(LocationOf(*inode));
        return status.has_value();
      }));
  return status;
}

Result<InodePtr> StoreFsck::GetInode(InodeId inode) {
  const std::string key = keys::Inode(inode);
  std::string value;
  PXFS_ASSIGN(const bool found, engine().Get(key, &value));
  if (!found) return Fail(Code::kNotFound);
  PXFS_ASSIGN(InodeRecord record, Decode<InodeRecord>(key, value));
  return std::make_shared<const InodeRecord>(std::move(record));
}

Result<std::optional<Location>> StoreFsck::FindFile(InodeId inode) {
  const auto record = GetInode(inode);
  if (!record && record.error() == Code::kNotFound) return std::optional<Location>();
  if (!record) return Fail(record.error());
  return std::optional(LocationOf(**record));
}

Result<std::vector<ObjectRef>> StoreFsck::Unknown(std::span<const ObjectRef> objects) {
  if (!known_) {
    PXFS_ASSIGN(KnownObjects known,
                KnownObjects::Load(engine(), [this](InodeId inode) { return GetInode(inode); }));
    known_ = std::move(known);
  }
  std::vector<ObjectRef> unknown;
  for (const ObjectRef& object : objects) {
    const auto has = known_->Has(object);
    // A damaged inode may be the one that has it.
    if (!has && !(has.error() == Code::kCorruption)) return Fail(has.error());
    if (!has || *has) continue;
    // The inode is lost, not the object: that is said of the inode.
    std::string ignored;
    PXFS_ASSIGN(const bool indexed,
                engine().Get(keys::VolumeInode(object.volume, object.inode), &ignored));
    PXFS_ASSIGN(const auto file, FindFile(object.inode));
    if (!indexed || file) unknown.push_back(object);
  }
  return unknown;
}

std::string StoreFsck::PathOf(InodeId inode) {
  std::string path;
  InodeId at = inode;
  std::set<InodeId> walked;  // the directories may form a loop
  while (at != kRootInode) {
    const auto record = GetInode(at);
    if (!record || (*record)->removed() || (*record)->name.empty() || !walked.insert(at).second)
      return "";
    path.insert(0, "/" + (*record)->name);
    at = (*record)->parent;
  }
  return path.empty() ? "/" : path;
}

Status StoreFsck::SetContent(InodeId inode, const ContentState& content) {
  PXFS_TRY(OpenStore());
  return store_->Run([&](Transaction& tx) -> Status {
    PXFS_ASSIGN(InodeRecord * record, tx.EditInode(inode));
    ApplyContent(*record, content);
    return {};
  });
}

Status StoreFsck::ForgetReplica(InodeId inode, VolumeId lost, VolumeId heir) {
  PXFS_TRY(OpenStore());
  return store_->Run([&](Transaction& tx) -> Status {
    PXFS_ASSIGN(InodeRecord * record, tx.EditInode(inode));
    bool primary = false;
    std::erase_if(record->replicas, [&](const Replica& replica) {
      primary |= replica.volume == lost && replica.primary;
      return replica.volume == lost;
    });
    for (Replica& replica : record->replicas)
      if (primary) replica.primary = replica.volume == heir;
    PXFS_ASSIGN(const uint64_t number, store_->NewTicket());
    tx.Put(keys::Record(KeyOf({CopyReason::kPlace, inode, number})), "");
    return {};
  });
}

Result<StoreFsck::Place> StoreFsck::AdoptAt(Transaction& tx, InodeRecord& inode,
                                            const std::string& path) {
  const size_t slash = path.rfind('/');
  InodeRecord* directory = nullptr;
  if (slash != std::string::npos && CheckName(path.substr(slash + 1))) {
    PXFS_ASSIGN(directory, MakeWay(tx, *store_, path));
  }
  if (directory == nullptr) {
    PXFS_TRY(PutIntoLostAndFound(tx, *store_, inode));
    return Place::kLostAndFound;
  }
  std::string name = path.substr(slash + 1);
  Place place = Place::kPath;
  for (;;) {
    PXFS_ASSIGN(const Transaction::Found taken, tx.FindEntry(directory->attr.inode, name));
    if (!taken.entry) break;
    name = name.substr(0, kMaxNameBytes - 20) + "#" + ToHex(inode.attr.inode.value);
    place = Place::kOtherName;
  }
  PXFS_TRY(AddName(tx, *directory, name, inode, store_->Now()));
  return place;
}

Result<StoreFsck::Place> StoreFsck::Adopt(const Location& file, const std::string& path) {
  PXFS_TRY(OpenStore());
  return store_->Run([&](Transaction& tx) -> Result<Place> {
    InodeRecord record;
    record.attr = file.attr;
    record.attr.nlink = 0;
    record.replicas = file.replicas;
    return AdoptAt(tx, tx.AddInode(std::move(record)), path);
  });
}

Status StoreFsck::TakeObject(const Location& file, bool moved) {
  PXFS_TRY(OpenStore());
  return store_->Run([&](Transaction& tx) -> Status {
    PXFS_ASSIGN(InodeRecord * record, tx.EditInode(file.attr.inode));
    record->attr.mode = file.attr.mode;
    record->attr.uid = file.attr.uid;
    record->attr.gid = file.attr.gid;
    if (moved) {
      record->replicas = file.replicas;
      record->attr.generation = std::max(record->attr.generation, file.attr.generation);
      record->replicas.front().generation = record->attr.generation;
    }
    ContentState content;
    content.size_bytes = file.attr.size_bytes;
    content.blocks = file.attr.blocks;
    content.atime = file.attr.atime;
    content.mtime = file.attr.mtime;
    ApplyContent(*record, content);
    return {};
  });
}

Result<bool> StoreFsck::ForgetUnfinished() {
  std::vector<KvWrite> writes;
  std::vector<InodeId> nameless;
  const auto visit = [&](keys::Family family, const KvEngine::Visitor& visitor) {
    const std::string begin = keys::Make(family);
    return engine().Scan(begin, keys::EndOf(begin), visitor);
  };
  PXFS_TRY(visit(keys::Family::kReservation, [&](std::string_view key, std::string_view) {
    writes.push_back({std::string(key), "", true});
    return true;
  }));
  PXFS_TRY(visit(keys::Family::kReclaim, [&](std::string_view key, std::string_view value) {
    const auto item = Decode<ReclaimRecord>(key, value);
    if (item && !item->whole_inode) writes.push_back({std::string(key), "", true});
    return true;
  }));
  PXFS_TRY(visit(keys::Family::kOrphan, [&](std::string_view key, std::string_view value) {
    uint64_t inode = 0;
    const auto orphan = Decode<OrphanRecord>(key, value);
    if (!orphan || !orphan->linkable || !keys::ReadNumber(key, 0, &inode)) return true;
    writes.push_back({std::string(key), "", true});
    nameless.push_back(InodeId(inode));
    return true;
  }));
  for (const InodeId inode : nameless) {
    const auto record = GetInode(inode);
    if (!record) continue;  // Repair mends it
    InodeRecord changed = **record;
    changed.attr.nlink = 1;
    writes.push_back({keys::Inode(inode), Encode(changed)});
  }
  if (!writes.empty()) PXFS_TRY(engine().Commit({}, writes, [] {}));
  return !writes.empty();
}

Status StoreFsck::SetVolume(const VolumeInfo& volume) {
  return engine().Commit({}, {{keys::Volume(volume.id), Encode(volume)}}, [] {});
}

DumpVisitor VolumesOf(std::vector<VolumeInfo>* volumes) {
  return [volumes](std::string_view key, std::string_view value) -> Status {
    if (key.empty() || key.front() != static_cast<char>(keys::Family::kVolume)) return {};
    if (auto volume = Decode<VolumeInfo>(key, value)) volumes->push_back(std::move(*volume));
    return {};
  };
}

}  // namespace pxfs::meta
