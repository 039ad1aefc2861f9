// UniqueFd: the sole owner of a file descriptor.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace pxfs {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  // Closes now and ignores the outcome: for descriptors that nothing was written through.
  void reset();
  // Closes now and reports the outcome: for descriptors that data was written through.
  // The descriptor is gone either way (close is never retried).
  Status Close();

 private:
  int fd_ = -1;
};

// openat(2) with O_CLOEXEC. The error names `path`.
Result<UniqueFd> OpenAt(int dir_fd, const std::string& path, int flags, unsigned mode = 0);

// Reads exactly the file's bytes, at most `max_bytes` (more is kTooBig).
Result<std::string> ReadFile(const std::string& path, size_t max_bytes = 64 << 20);
// Replaces `path` atomically and durably: temporary name, fsync, rename, fsync of the directory.
Status WriteFileAtomically(const std::string& path, std::string_view content, unsigned mode = 0644);
// The same with what `write` writes to the descriptor that it is given; its error is the answer.
Status WriteFileAtomically(const std::string& path, const std::function<Status(int fd)>& write,
                           unsigned mode = 0644);
// write(2)/pwrite(2) until all of `data` is written.
Status WriteAll(int fd, std::string_view data);
// Makes names made, changed and removed in the directory survive loss of power (fsync).
Status SyncDirectory(const std::string& directory);
// The same for everything on the directory's file system (syncfs).
Status SyncFileSystem(const std::string& directory);
// mkdir -p; directories that exist are left as they are.
Status MakeDirectories(const std::string& path, unsigned mode = 0755);

}  // namespace pxfs
