// The embedded engine: a LevelDB database in a directory of its own, owned by one process
// (meta/store_lock.h).
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "meta/kv_engine.h"

namespace pxfs::meta {

// create: a new database if there is none; else that is kNotFound.
// kCorruption: LevelDB cannot make sense of its files; the message says which and what to do.
Result<std::unique_ptr<KvEngine>> OpenLevelDb(const std::string& directory, bool create);

}  // namespace pxfs::meta
