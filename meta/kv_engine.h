// KvEngine: the ordered key-value store below the metadata service, and all that an engine must do.
//
// Transactions are optimistic. Whoever reads notes the version of each key; Commit applies a batch
// only if no key of the read set has changed since, else nothing happens and the answer is
// kConflict.
//
// 1. A key's version changes whenever the key is written. It may also change when another key is
// (engines may
//    keep one version for many keys): a false conflict costs a retry, never an answer.
// 2. A version noted before a value is read proves, if it is still the same and settled, that the
// value
//    is the current one.
// 3. A batch that was committed survives a killed process at once, and power loss after Sync.
//
// Thread-safe. Calls block for the store. Errors: kIo, kCorruption, and kConflict from Commit.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pxfs::meta {

struct KvRead {
  std::string key;
  uint64_t version = 0;
};

struct KvWrite {
  std::string key;
  std::string value;
  bool erase = false;
};

class KvEngine {
 public:
  virtual ~KvEngine() = default;

  // The version of `key` now, whether there is such a key or not.
  virtual uint64_t Version(std::string_view key) const = 0;
  // False when a commit to it is under way: reading now would need a second look.
  virtual bool Settled(uint64_t version) const = 0;

  // Sets `value` and returns true, or returns false when there is no such key.
  virtual Result<bool> Get(std::string_view key, std::string* value) const = 0;

  // Calls `visit` for the keys in [begin, end) in order, as of one moment, until it returns false.
  using Visitor = std::function<bool(std::string_view key, std::string_view value)>;
  virtual Status Scan(std::string_view begin, std::string_view end, const Visitor& visit) const = 0;

  // kNoSpace: there is no room to add anything; what makes room, and what must be written down, can
  // still be committed.
  virtual Status RoomToGrow() { return {}; }

  // Applies `writes`, all or none, if every key of `reads` still has the version read. `applied`
  // runs after that and before any version is settled, one commit at a time: caches are brought up
  // to date there.
  virtual Status Commit(const std::vector<KvRead>& reads, const std::vector<KvWrite>& writes,
                        const std::function<void()>& applied) = 0;

  // Makes all that was committed survive power loss. Commits go on meanwhile, and callers who wait
  // at the same time share the work. After an error the engine takes no more commits.
  virtual Status Sync() = 0;
};

}  // namespace pxfs::meta
