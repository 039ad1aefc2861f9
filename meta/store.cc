#include "meta/store.h"

#include <time.h>

#include <utility>

#include "base/logging.h"
#include "meta/counters.h"
#include "meta/keys.h"
#include "meta/schema.h"

namespace pxfs::meta {
namespace {

constexpr uint64_t kInodeBlock = 4096;
constexpr uint64_t kTicketBlock = 4096;

}  // namespace

Timestamp CoarseClock() {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return {now.tv_sec, static_cast<uint32_t>(now.tv_nsec)};
}

Store::Store(std::unique_ptr<KvEngine> engine, StoreOptions options, uint64_t name_seed)
    : engine_(std::move(engine)),
      options_(std::move(options)),
      slot_of_(SlotFunction(options_.name_hash, name_seed)),
      inodes_(kNextInode, kRootInode.value + 1, kInodeBlock),
      tickets_("next ticket", 1, kTicketBlock),
      sessions_("next session", 1, 1),
      volumes_("next volume", 1, 1),
      inode_cache_(options_.inode_cache_entries),
      slot_cache_(options_.inode_cache_entries) {
  if (!options_.clock) options_.clock = CoarseClock;
}

Result<std::unique_ptr<Store>> Store::Open(std::unique_ptr<KvEngine> engine, StoreOptions options) {
  PXFS_ASSIGN(const SchemaRecord schema, OpenSchema(*engine));
  std::unique_ptr<Store> store(new Store(std::move(engine), std::move(options), schema.name_seed));
  for (Sequence* sequence :
       {&store->inodes_, &store->tickets_, &store->sessions_, &store->volumes_})
    PXFS_TRY(sequence->Load(*store->engine_));
  PXFS_ASSIGN(const bool closed_in_order, store->totals_.Load(*store->engine_));
  PXFS_TRY(store->epochs_.Load(*store->engine_, closed_in_order));
  return store;
}

Store::~Store() {
  // Losing these costs a recount and a gap in the numbers, no more; but why is worth a line.
  for (Sequence* sequence : {&inodes_, &tickets_, &sessions_, &volumes_})
    if (auto saved = sequence->Save(*engine_); !saved)
      log::warn("closing the metadata store: {}", saved.error().message());
  // Totals that are saved say that it was closed in order.
  if (auto closed = epochs_.Close(*engine_); !closed)
    log::warn("closing the metadata store: {}", closed.error().message());
  else if (auto saved = totals_.Save(*engine_); !saved)
    log::warn("closing the metadata store: {}", saved.error().message());
}

Result<InodePtr> Store::GetInode(InodeId inode) {
  InodePtr record;
  decltype(inode_cache_)::Moment moment;
  if (!inode_cache_.Get(inode, &record, &moment)) {
    const std::string key = keys::Inode(inode);
    std::string value;
    PXFS_ASSIGN(const bool found, engine_->Get(key, &value));
    if (!found) return Fail(Code::kNotFound);
    PXFS_ASSIGN(InodeRecord decoded, Decode<InodeRecord>(key, value));
    record = std::make_shared<const InodeRecord>(std::move(decoded));
    inode_cache_.Fill(inode, record, moment);
  }
  if (!record) return Fail(Code::kNotFound);
  return record;
}

Result<InodeId> Store::NewInodes(uint64_t count) {
  PXFS_ASSIGN(const uint64_t first, inodes_.Take(*engine_, count));
  return InodeId(first);
}

}  // namespace pxfs::meta
