// The version of the store's format. A store of a newer schema is refused; one of an older schema
// is upgraded in place by OpenSchema, one version at a time.
#pragma once

#include "base/result.h"
#include "meta/kv_engine.h"
#include "meta/records.h"

namespace pxfs::meta {

inline constexpr uint32_t kSchemaVersion = 1;

// Writes the schema, the root directory and nothing else. kExists when the store is not empty.
Status FormatStore(KvEngine& engine, Timestamp now);

// kNotFound: never formatted; kInvalid: a newer schema, the message says what to do; kCorruption.
Result<SchemaRecord> OpenSchema(const KvEngine& engine);

}  // namespace pxfs::meta
