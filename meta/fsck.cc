#include "meta/fsck.h"

#include <algorithm>
#include <utility>

#include "meta/content.h"
#include "meta/counters.h"
#include "meta/keys.h"
#include "meta/leveldb_engine.h"
#include "meta/ops/ancestors.h"
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

Status StoreFsck::Repair(const FindObject& find_object) {
  PXFS_TRY(MendRecords(engine(), Options()));
  PXFS_TRY(OpenStore());
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
  for (int depth = 0; at != kRootInode; ++depth) {
    const auto record = GetInode(at);
    if (!record || (*record)->removed() || (*record)->name.empty() || depth >= kMaxDepth) return "";
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

Status StoreFsck::ReplacePrimary(InodeId inode, VolumeId volume) {
  PXFS_TRY(OpenStore());
  return store_->Run([&](Transaction& tx) -> Status {
    PXFS_ASSIGN(InodeRecord * record, tx.EditInode(inode));
    std::erase_if(record->replicas, [](const Replica& replica) { return replica.primary; });
    for (Replica& replica : record->replicas) replica.primary = replica.volume == volume;
    return {};
  });
}

Status StoreFsck::Adopt(const Location& file) {
  PXFS_TRY(OpenStore());
  const InodeId inode = file.attr.inode;
  if (inode >= store_->NextInode())
    PXFS_TRY(store_->NewInodes(inode.value - store_->NextInode().value + 1));
  return store_->Run([&](Transaction& tx) -> Status {
    InodeRecord record;
    record.attr = file.attr;
    record.attr.nlink = 0;
    record.replicas = file.replicas;
    return PutIntoLostAndFound(tx, *store_, tx.AddInode(std::move(record)));
  });
}

}  // namespace pxfs::meta
