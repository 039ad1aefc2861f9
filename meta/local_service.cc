#include "meta/local_service.h"

#include <utility>

#include "meta/leveldb_engine.h"
#include "meta/local_service_impl.h"
#include "meta/schema.h"
#include "meta/store_lock.h"

namespace pxfs::meta {

LocalService::LocalService(std::unique_ptr<Store> store, const ServiceOptions& options,
                           UniqueFd lock)
    : lock_(std::move(lock)),
      options_(options),
      store_(std::move(store)),
      sessions_(*store_, options.revoke_timeout),
      volumes_(*store_),
      policies_(*store_),
      reclaim_(*store_, options.reclaim_retry),
      orphans_(sessions_, reclaim_),
      repetitions_(*store_) {}

LocalService::~LocalService() = default;

Result<std::unique_ptr<MetadataService>> LocalService::Open(std::unique_ptr<KvEngine> engine,
                                                            ServiceOptions options, UniqueFd lock) {
  PXFS_ASSIGN(std::unique_ptr<Store> store, Store::Open(std::move(engine), options.store));
  std::unique_ptr<LocalService> service(
      new LocalService(std::move(store), options, std::move(lock)));
  PXFS_TRY(service->sessions_.Load());
  // A client may repeat a call on one connection before another one has resumed its session.
  for (const SessionInfo& session : service->sessions_.List())
    PXFS_TRY(service->repetitions_.Load(session.id));
  PXFS_TRY(service->volumes_.Load());
  PXFS_TRY(service->policies_.Load());
  PXFS_TRY(service->EndStraySessions());
  service->first_new_inode_ = service->store_->NextInode();
  PXFS_TRY(service->DistrustUnsyncedContent());
  return service;
}

Result<std::unique_ptr<MetadataService>> OpenLocalService(const LocalOptions& options) {
  if (options.create) PXFS_TRY(MakeDirectories(options.directory, 0700));
  auto lock = LockStore(options.directory + "/lock", options.lock_wait);
  if (!lock && lock.error().code() == Code::kNotFound)
    return Fail(Code::kNotFound,
                "no metadata store: " + options.directory + "; restore a dump (pxfs load)");
  if (!lock) return Fail(lock.error());
  PXFS_ASSIGN(std::unique_ptr<KvEngine> engine,
              OpenLevelDb(options.directory + "/leveldb", options.create));
  ServiceOptions service;
  service.store.inode_cache_entries = options.inode_cache_entries;
  service.revoke_timeout = options.revoke_timeout;
  service.session_grace = options.session_grace;
  if (options.create) PXFS_TRY(FormatStore(*engine, CoarseClock()));
  return LocalService::Open(std::move(engine), std::move(service), std::move(*lock));
}

}  // namespace pxfs::meta
