// The bytes go through this process rather than through copy_file_range(2), because the checksum
// needs them here anyway; only a reflink, which moves no bytes, is cheaper, and then the object is
// read for its checksum.
#include "volumes/copy.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "volumes/extents.h"

namespace pxfs::volumes {
namespace {

constexpr size_t kBufferBytes = 1 << 20;
using Progress = std::function<bool(uint64_t)>;

// One buffer a thread, and one of zeros for holes in checksums.
char* Buffer() {
  thread_local const std::unique_ptr<char[]> buffer =
      std::make_unique_for_overwrite<char[]>(kBufferBytes);
  return buffer.get();
}

void HashZeros(Hasher& hasher, uint64_t size) {
  static const std::unique_ptr<char[]> zeros = std::make_unique<char[]>(kBufferBytes);
  for (; size > 0; size -= std::min<uint64_t>(size, kBufferBytes))
    hasher.Update(zeros.get(), std::min<uint64_t>(size, kBufferBytes));
}

Result<size_t> ReadSome(int fd, size_t size, uint64_t offset) {
  for (;;) {
    const ssize_t n = ::pread(fd, Buffer(), size, static_cast<off_t>(offset));
    if (n >= 0) return static_cast<size_t>(n);
    if (errno != EINTR) return FailErrno(errno, "read");
  }
}

Status WriteBufferAt(int fd, size_t size, uint64_t offset) {
  for (size_t done = 0; done < size;) {
    const ssize_t n = ::pwrite(fd, Buffer() + done, size - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FailErrno(errno, "write");
    done += static_cast<size_t>(n);
  }
  return {};
}

// Hashes one extent of `from`, and writes it to `to` unless that is -1.
Status TransferData(int from, int to, const Extent& extent, Hasher& hasher,
                    const Progress& progress) {
  for (uint64_t done = 0; done < extent.size;) {
    const size_t want = std::min<uint64_t>(kBufferBytes, extent.size - done);
    PXFS_ASSIGN(const size_t size, ReadSome(from, want, extent.offset + done));
    if (size == 0) return Fail(Code::kStale, "the file became shorter while it was read");
    hasher.Update(Buffer(), size);
    if (to >= 0) PXFS_TRY(WriteBufferAt(to, size, extent.offset + done));
    done += size;
    if (progress && !progress(size)) return Fail(Code::kInterrupted);
  }
  return {};
}

Result<Hash128> Transfer(int from, int to, const struct stat& st, const Progress& progress) {
  Hasher hasher;
  const auto size = static_cast<uint64_t>(st.st_size);
  const auto visit = [&](const Extent& extent) -> Status {
    if (!extent.hole) return TransferData(from, to, extent, hasher, progress);
    HashZeros(hasher, extent.size);
    if (progress && !progress(extent.size)) return Fail(Code::kInterrupted);
    return {};
  };
  const bool sparse = static_cast<uint64_t>(st.st_blocks) * 512 < size;
  if (sparse) {
    // Gives the trailing hole its size.
    if (to >= 0 && ::ftruncate(to, st.st_size) != 0) return FailErrno(errno, "truncate");
    PXFS_TRY(ForEachExtent(from, size, visit));
  } else if (size > 0) {
    PXFS_TRY(visit({0, size, false}));
  }
  return hasher.Digest();
}

// Last of all: the times, and the seal that says that the object is complete.
Status Finish(int fd, InodeId inode, const ObjectOwner& owner, const struct stat& source,
              const std::string& origin) {
  // Writing may have taken these bits off.
  const uint32_t mode = OwnerOnDisk(owner).mode & 07777;
  if ((mode & (S_ISUID | S_ISGID)) && ::fchmod(fd, mode) != 0)
    return FailErrno(errno, "set the mode");
  const struct timespec times[2] = {source.st_atim, source.st_mtim};
  if (::futimens(fd, times) != 0) return FailErrno(errno, "set the times");
  if (origin.empty()) return {};
  Status sealed = Volume::SetOrigin(fd, inode, origin);
  return !sealed && sealed.error() == Code::kNotSupported ? Status() : sealed;
}

bool SameContent(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
         a.st_mtim.tv_nsec == b.st_mtim.tv_nsec && a.st_ctim.tv_sec == b.st_ctim.tv_sec &&
         a.st_ctim.tv_nsec == b.st_ctim.tv_nsec;
}

// Reads the object back past the page cache and compares.
Status Verify(int fd, const Hash128& expected) {
  if (::fsync(fd) != 0) return FailErrno(errno, "fsync");
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  PXFS_ASSIGN(const Hash128 found, ChecksumFile(fd));
  if (!(found == expected))
    return Fail(Code::kCorruption, "what was written reads back differently: checksum " +
                                       ToString(found) + ", not " + ToString(expected));
  return {};
}

}  // namespace

Result<CopyResult> CopyIntoObject(const Volume& volume, ObjectName name, const ObjectOwner& owner,
                                  int source_fd, const CopyOptions& options) {
  struct stat before, after;
  if (::fstat(source_fd, &before) != 0) return FailErrno(errno, "stat");
  PXFS_ASSIGN(const UniqueFd object, volume.OpenObject(name, O_RDWR | O_CREAT | O_EXCL, &owner));
  const int fd = object.get();
  const auto copy = [&]() -> Result<CopyResult> {
    CopyResult result;
    if (before.st_size == 0) {
      // Such as those of /proc, which have content but no size.
      PXFS_ASSIGN(const size_t more, ReadSome(source_fd, 1, 0));
      if (more != 0) return Fail(Code::kNotSupported, "it has content but says that its size is 0");
    }
    result.reflinked =
        options.reflink && before.st_size > 0 && ::ioctl(fd, FICLONE, source_fd) == 0;
    PXFS_ASSIGN(result.checksum, result.reflinked
                                     ? Transfer(fd, -1, before, options.progress)
                                     : Transfer(source_fd, fd, before, options.progress));
    if (::fstat(source_fd, &after) != 0) return FailErrno(errno, "stat");
    if (!SameContent(before, after))
      return Fail(Code::kStale, "the file changed while it was copied");
    if (options.verify) PXFS_TRY(Verify(fd, result.checksum));
    PXFS_TRY(Finish(fd, name.inode, owner, before, options.origin));
    if (::fstat(fd, &result.object) != 0) return FailErrno(errno, "stat");
    return result;
  };
  auto result = copy();
  if (!result) {
    if (const auto removed = volume.RemoveObject(name); !removed)
      return Fail(result.error().code(),
                  result.error().message() + " (and " + removed.error().message() + ")");
  }
  return result;
}

Result<CopyResult> CopyDurably(const Volume& volume, ObjectName name, const ObjectOwner& owner,
                               int source_fd, CopyOptions options) {
  options.verify = true;
  auto copied = CopyIntoObject(volume, name, owner, source_fd, options);
  if (!copied) return copied;
  if (auto synced = volume.SyncName(name); !synced) {
    PXFS_TRY(volume.RemoveObject(name));
    return Fail(synced.error());
  }
  return copied;
}

Status CopyReplica(const VolumeSet& volumes, const meta::Location& location,
                   const meta::Replica& target) {
  const meta::Attr& attr = location.attr;
  const meta::Replica& primary = location.replicas.front();
  PXFS_ASSIGN(const auto from, volumes.Require(primary.volume));
  PXFS_ASSIGN(const auto to, volumes.Require(target.volume));
  const ObjectName name{attr.inode, target.object_generation};
  PXFS_TRY(to->RemoveObject(name));
  PXFS_ASSIGN(const UniqueFd source,
              from->OpenObject({attr.inode, primary.object_generation}, O_RDONLY));
  PXFS_TRY(CopyDurably(*to, name, {attr.uid, attr.gid, attr.mode & 07777}, source.get(), {}));
  return {};
}

Result<Hash128> ChecksumFile(int fd, const Progress& progress) {
  struct stat st;
  if (::fstat(fd, &st) != 0) return FailErrno(errno, "stat");
  return Transfer(fd, -1, st, progress);
}

}  // namespace pxfs::volumes
