// Session: one FUSE mount served by this process: libfuse's session bound to the operations and to
// a transport.
#pragma once

#include <memory>

#include "base/result.h"
#include "base/unique_fd.h"
#include "fs/cache_revoker.h"
#include "fs/connection_state.h"
#include "fs/file_system.h"
#include "fs/transport.h"

namespace pxfs::fs {

class Session {
 public:
  // All outlive the session. `revoker` is the listener of the metadata session that `file_system`
  // uses.
  static Result<std::unique_ptr<Session>> Create(FileSystem& file_system, Transport& transport,
                                                 CacheRevoker& revoker);
  ~Session();

  // Serves until the file system is unmounted. Blocks. `ready`: see Transport::Serve.
  Status Run(const std::function<void()>& ready);

 private:
  Session(FileSystem& file_system, Transport& transport, CacheRevoker& revoker);

  SessionData data_;
  CacheRevoker& revoker_;
  fuse_session* session_ = nullptr;
};

}  // namespace pxfs::fs
