#include "meta/ballast.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/logging.h"

namespace pxfs::meta {
namespace {

// A log and the table that it becomes (LevelDbOptions::write_buffer_bytes), and compactions.
constexpr uint64_t kFullBytes = 128 << 20;
constexpr uint64_t kShareOfDisk = 16;  // at most a 16th of it
constexpr uint64_t kPieces = 16;       // given one by one
constexpr std::chrono::milliseconds kBetweenLooks(100);

uint64_t SizeOf(int fd) {
  struct stat st {};
  return ::fstat(fd, &st) == 0 ? static_cast<uint64_t>(st.st_size) : 0;
}

}  // namespace

Ballast::Ballast(const std::string& path)
    : path_(path), fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
  struct statvfs disk {};
  if (!fd_ || ::fstatvfs(fd_.get(), &disk) != 0) {
    log::warn("{}: cannot be used: {}; a full disk may stop the metadata store", path,
              ErrnoError(errno, path).message());
    fd_ = {};
    return;
  }
  full_bytes_ = std::min<uint64_t>(kFullBytes, disk.f_blocks * disk.f_frsize / kShareOfDisk);
  std::lock_guard lock(mutex_);
  RestoreLocked();
}

uint64_t Ballast::Give() {
  std::lock_guard lock(mutex_);
  const uint64_t held = fd_ ? SizeOf(fd_.get()) : 0;
  if (held == 0) return 0;
  if (whole_.exchange(false))
    log::warn("the disk of {} is full: nothing can be added until there is room again", path_);
  const uint64_t given = std::min(held, full_bytes_ / kPieces + 1);
  return ::ftruncate(fd_.get(), static_cast<off_t>(held - given)) == 0 ? given : 0;
}

bool Ballast::Restore() {
  if (whole_) return true;
  std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (whole_ || now < next_look_) return whole_;
  next_look_ = now + kBetweenLooks;
  if (RestoreLocked()) log::info("the disk of {} has room again", path_);
  return whole_;
}

bool Ballast::RestoreLocked() {
  const uint64_t held = SizeOf(fd_.get());
  struct statvfs disk {};
  whole_ = held >= full_bytes_;
  if (whole_ || ::fstatvfs(fd_.get(), &disk) != 0) return whole_;
  const uint64_t free = disk.f_bavail * disk.f_frsize;
  if (free < full_bytes_ - held + full_bytes_) return false;
  if (::fallocate(fd_.get(), 0, 0, static_cast<off_t>(full_bytes_)) == 0) return whole_ = true;
  if (errno == EOPNOTSUPP) {
    fd_ = {};
    return whole_ = true;
  }
  return false;
}

}  // namespace pxfs::meta
