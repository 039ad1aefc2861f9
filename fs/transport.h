// Transport: how requests reach the FUSE session and how replies go back. One implementation reads
// /dev/fuse (dev_fuse_transport.h); another may use rings. The session and the operations do not
// know which.
#pragma once

#include <sys/uio.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"

struct fuse_session;

namespace pxfs::fs {

class FileSystem;
class Transport;

// What libfuse hands to every callback (its userdata): operations need the one, custom I/O the
// other.
struct SessionData {
  FileSystem* file_system = nullptr;
  Transport* transport = nullptr;
};

// What the kernel and this side agreed on in the INIT exchange.
struct Capabilities {
  bool passthrough = false;
  bool resend = false;
};

class Transport {
 public:
  virtual ~Transport() = default;

  // The kernel's number of the request that this thread is serving; 0: none. The same number comes
  // again when the request is sent again to a successor. Operations run on the thread that received
  // the request.
  static uint64_t CurrentRequest() { return current_request_; }
  // The kernel says of the request that it takes setuid and setgid from the file: what it does to
  // the content is done without CAP_FSETID. Of SETATTR, OPEN and WRITE; libfuse 3.14 hides it.
  static bool ClearsSetId() { return clears_set_id_; }
  // The request is a STATX, which libfuse 3.14 does not know; to it, it is a GETATTR.
  static bool AsksForStatx() { return asks_for_statx_; }

  // Binds to libfuse's session: from now on its reads and writes go through this transport.
  virtual Status Attach(fuse_session* session) = 0;
  // Serves requests until the file system is unmounted. Blocks. kIo: the connection broke. `ready`
  // is called once INIT is answered, when the capabilities are known.
  virtual Status Serve(const std::function<void()>& ready) = 0;
  // Takes no more requests, and returns once those that were taken are answered; Serve returns then
  // too. What the kernel sends from now on waits for a successor. Then this process may end without
  // anybody noticing, and nothing else may follow. Once only, while Serve runs, from another thread
  // than those that serve. kTimeout: a request has not been answered within `limit`.
  virtual Status Drain(std::chrono::milliseconds limit) = 0;
  // Valid once the first request after INIT has been served.
  virtual Capabilities capabilities() const = 0;
  virtual std::string name() const = 0;

  // Registers an open file as the backing of an inode for passthrough; the id stays valid until
  // CloseBacking, also when `fd` is closed, and beyond the life of this process. Thread-safe.
  virtual Result<int32_t> OpenBacking(int fd) = 0;
  virtual void CloseBacking(int32_t id) = 0;
  // Makes the kernel ask for the inode's attributes again; replies to requests that are under way
  // do not count any more. Takes no lock in the kernel that a request could hold. Thread-safe.
  virtual void InvalidateAttributes(uint64_t node) = 0;
  // Makes the kernel look up every cached name again. kNotSupported before Linux 6.16. Thread-safe.
  virtual Status ExpireAllNames() = 0;

 protected:
  static inline thread_local uint64_t current_request_ = 0;
  static inline thread_local bool clears_set_id_ = false;
  static inline thread_local bool asks_for_statx_ = false;
};

}  // namespace pxfs::fs
