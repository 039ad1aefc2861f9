// The metadata service in this process: what the embedded mode calls directly and what pxfsd
// serves.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "meta/service.h"

namespace pxfs::meta {

inline constexpr size_t kDefaultMaxInodes = 200'000;

struct LocalOptions {
  std::string directory;  // of the store; held by an exclusive lock while open
  bool create = false;    // a new, empty store; kExists if there is one
  std::chrono::milliseconds lock_wait{
      0};  // how long to wait for another process to leave the store
  // Of inodes, and of names as many, kept in memory: about 0.8 KiB for one of each.
  size_t inode_cache_entries = kDefaultMaxInodes;
  // How long a mutation waits for another session's caches before it goes on without them.
  std::chrono::milliseconds revoke_timeout{10'000};
  // Sessions that a dead process left keep what they hold until they are resumed, or until the
  // first FilesToRecover after this time.
  std::chrono::milliseconds session_grace{0};
};

// kBusy: another process has it (the message names its pid); kNotFound: no store here; kInvalid: a
// newer schema (the message says so and what to do); kCorruption.
Result<std::unique_ptr<MetadataService>> OpenLocalService(const LocalOptions& options);

}  // namespace pxfs::meta
