#include "meta/keys.h"
#include "meta/local_service_impl.h"

namespace pxfs::meta {

Result<std::vector<Record>> LocalService::ScanRecords(std::string_view prefix,
                                                      std::string_view after, uint32_t limit) {
  std::vector<Record> records;
  if (limit == 0) return records;
  std::string begin = keys::Record(prefix).append(after);
  if (!after.empty()) begin.push_back('\0');
  const size_t family = keys::Record("").size();
  PXFS_TRY(store_->engine().Scan(
      begin, keys::EndOf(keys::Record(prefix)), [&](std::string_view key, std::string_view value) {
        records.push_back({std::string(key.substr(family)), std::string(value)});
        return records.size() < limit;
      }));
  return records;
}

Status LocalService::WriteRecords(std::span<const RecordWrite> writes, bool sync) {
  PXFS_TRY(store_->Run([&](Transaction& tx) -> Status {
    for (const RecordWrite& write : writes) {
      if (write.value)
        tx.Put(keys::Record(write.key), *write.value);
      else
        tx.Erase(keys::Record(write.key));
    }
    return {};
  }));
  if (sync) return store_->engine().Sync();
  return {};
}

}  // namespace pxfs::meta
