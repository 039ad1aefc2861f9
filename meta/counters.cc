#include "meta/counters.h"

#include <string>

#include "meta/keys.h"
#include "meta/records.h"

namespace pxfs::meta {

Result<std::optional<uint64_t>> ReadCounter(const KvEngine& engine, std::string_view name) {
  const std::string key = keys::Counter(name);
  std::string value;
  PXFS_ASSIGN(const bool found, engine.Get(key, &value));
  if (!found) return std::optional<uint64_t>();
  PXFS_ASSIGN(const uint64_t number, DecodeNumber(key, value));
  return std::optional(number);
}

Status WriteCounter(KvEngine& engine, std::string_view name, uint64_t value) {
  return engine.Commit({}, {{keys::Counter(name), EncodeNumber(value)}}, [] {});
}

}  // namespace pxfs::meta
