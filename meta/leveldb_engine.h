// The embedded engine: a LevelDB database in a directory of its own, owned by one process
// (meta/store_lock.h).
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "meta/kv_engine.h"

namespace pxfs::meta {

class DiskEnv;  // meta/leveldb_env.h

struct LevelDbOptions {
  bool create = false;                   // a new database if there is none; else that is kNotFound
  size_t write_buffer_bytes = 32 << 20;  // how large a log grows before the next one is begun
  DiskEnv* disk = nullptr;               // null: the machine's. Outlives the engine.
};

// kCorruption: LevelDB cannot make sense of its files; the message says which and what to do.
Result<std::unique_ptr<KvEngine>> OpenLevelDb(const std::string& directory,
                                              const LevelDbOptions& options);
inline Result<std::unique_ptr<KvEngine>> OpenLevelDb(const std::string& directory, bool create) {
  return OpenLevelDb(directory, LevelDbOptions{.create = create});
}

}  // namespace pxfs::meta
