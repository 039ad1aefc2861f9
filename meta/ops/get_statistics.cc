#include <map>

#include "meta/keys.h"
#include "meta/local_service_impl.h"

namespace pxfs::meta {

Result<Statistics> LocalService::GetStatistics() {
  Statistics statistics;
  statistics.inodes = store_->totals().inodes();
  statistics.cached_inodes = store_->cached_inodes();
  statistics.cached_names = store_->cached_names();
  statistics.max_inodes = store_->max_inodes();
  KvEngine& engine = store_->engine();
  const std::string orphans = keys::Make(keys::Family::kOrphan);
  PXFS_TRY(engine.Scan(orphans, keys::EndOf(orphans), [&](std::string_view, std::string_view) {
    return ++statistics.orphans != 0;
  }));
  PXFS_ASSIGN(statistics.reclaim_queue, reclaim_.Count());
  std::map<SessionId, uint64_t> open;
  const std::string writers = keys::Make(keys::Family::kOpenForWrite);
  PXFS_TRY(engine.Scan(writers, keys::EndOf(writers), [&](std::string_view key, std::string_view) {
    uint64_t session = 0;
    if (keys::ReadNumber(key, 1, &session)) ++open[SessionId(session)];
    return ++statistics.open_for_write != 0;
  }));
  {
    std::lock_guard lock(copying_mutex_);
    statistics.copying = copying_;
  }
  statistics.sessions = sessions_.List();
  for (SessionInfo& session : statistics.sessions) session.open_for_write = open[session.id];
  return statistics;
}

}  // namespace pxfs::meta
