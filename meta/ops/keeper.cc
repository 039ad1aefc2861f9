// What the host of a store does with the volumes at hand: checkpoints, and what loss of power left.
#include <malloc.h>

#include <algorithm>

#include "base/logging.h"
#include "meta/content.h"
#include "meta/counters.h"
#include "meta/keys.h"
#include "meta/known_objects.h"
#include "meta/local_service_impl.h"

namespace pxfs::meta {
namespace {

constexpr size_t kBatch = 500;

Status Distrust(Transaction& tx, InodeId inode) {
  PXFS_ASSIGN(InodeRecord * record, tx.EditInode(inode));
  if (record->removed()) return {};
  // Whether there is an object is to be seen.
  if (Replica* primary = PrimaryOf(*record)) primary->materialized = false;
  PXFS_ASSIGN(const auto waiting, tx.Get(keys::OpenForWrite(inode, SessionId())));
  if (!waiting) RecordWriter(tx, *record, SessionId());
  return {};
}

}  // namespace

Status LocalService::DistrustUnsyncedContent() {
  const ContentEpochs& epochs = store_->epochs();
  if (!epochs.power_was_lost()) return {};
  std::vector<InodeId> files;
  const std::string begin = keys::Make(keys::Family::kInode);
  PXFS_TRY(store_->engine().Scan(
      begin, keys::EndOf(begin), [&](std::string_view key, std::string_view value) {
        // A damaged inode is reported to whoever uses it.
        const auto inode = Decode<InodeRecord>(key, value);
        if (inode && inode->attr.is_regular() && inode->content_epoch > epochs.durable())
          files.push_back(inode->attr.inode);
        return true;
      }));
  log::info(
      "the machine stopped while the store was open: {} files are compared with their objects",
      files.size());
  for (size_t i = 0; i < files.size(); i += kBatch) {
    PXFS_TRY(store_->Run([&](Transaction& tx) -> Status {
      for (size_t k = i; k < std::min(files.size(), i + kBatch); ++k)
        PXFS_TRY(Distrust(tx, files[k]));
      return {};
    }));
  }
  return {};
}

bool LocalService::PowerWasLost() { return store_->epochs().power_was_lost(); }

void LocalService::BeginServing() { sessions_.AwaitResumptions(options_.session_grace); }

void LocalService::ShrinkCaches() {
  const size_t before = store_->cached_inodes();
  store_->ShrinkCaches();
  ::malloc_trim(0);  // else the allocator keeps it
  log::info("memory is short: {} of {} cached inodes are dropped", before - store_->cached_inodes(),
            before);
}

Status LocalService::PowerLossSettled() { return store_->epochs().Settled(store_->engine()); }

Result<uint64_t> LocalService::BeginCheckpoint() { return store_->epochs().End(store_->engine()); }

Status LocalService::EndCheckpoint(uint64_t checkpoint) {
  PXFS_TRY(Sync());
  return store_->epochs().SetDurable(store_->engine(), checkpoint);
}

Result<std::vector<ObjectRef>> LocalService::UnknownObjects(std::span<const ObjectRef> objects) {
  KvEngine& engine = store_->engine();
  PXFS_ASSIGN(const KnownObjects known,
              KnownObjects::Load(engine, [&](InodeId inode) { return store_->GetInode(inode); }));
  PXFS_ASSIGN(const auto floor, ReadCounter(engine, kSweepFloor));
  std::vector<ObjectRef> unknown;
  for (const ObjectRef& object : objects) {
    if (object.inode < InodeId(floor.value_or(0)) || object.inode >= first_new_inode_) continue;
    PXFS_ASSIGN(const bool is_known, known.Has(object));
    if (!is_known) unknown.push_back(object);
  }
  return unknown;
}

void LocalService::ReportCopying(const CopyRates& rates) {
  std::lock_guard lock(copying_mutex_);
  copying_ = rates;
}

}  // namespace pxfs::meta
