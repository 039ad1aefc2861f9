#include "volumes/volume.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/bytes.h"
#include "volumes/identity.h"
#include "volumes/origin.h"
#include "volumes/private_mount.h"
#include "volumes/read_only.h"

namespace pxfs::volumes {
namespace {

// An emptied directory may be pruned between making it and using it; nobody loses that race many
// times.
constexpr int kDirectoryAttempts = 8;

std::string DirectoryOf(ObjectName name) {
  std::string path = name.RelativePath();
  path.resize(path.rfind('/'));
  return path;
}

// Runs `place` (0 or an errno), and once more after making the object's directory where that was
// missing.
template <typename Place, typename MakeDirectory>
Status WithDirectory(Place place, MakeDirectory make_directory, const std::string& what) {
  int error = place();
  for (int attempt = 0; error == ENOENT && attempt < kDirectoryAttempts; ++attempt) {
    PXFS_TRY(make_directory());
    error = place();
  }
  if (error != 0) return FailErrno(error, what);
  return {};
}

}  // namespace

ObjectOwner OwnerOnDisk(const ObjectOwner& inode) {
  return ::geteuid() == 0 ? inode : ObjectOwner{::geteuid(), ::getegid(), 0600};
}

Volume::Volume(VolumeId id, std::string root, VolumeIdentity identity, UniqueFd root_fd)
    : id_(id),
      root_(std::move(root)),
      identity_(std::move(identity)),
      root_fd_(std::move(root_fd)) {}

Result<std::shared_ptr<Volume>> Volume::Open(VolumeId id, const std::string& root,
                                             const VolumeIdentity& expected) {
  auto fd = OpenAt(AT_FDCWD, root, O_RDONLY | O_DIRECTORY);
  if (!fd) {
    if (fd.error() == Code::kNotFound || fd.error() == Code::kNotDirectory)
      return Fail(Code::kUnavailable, root + ": no such directory; is its disk mounted?");
    return Fail(fd.error());
  }
  PXFS_ASSIGN(VolumeIdentity found, ReadVolumeIdentity(fd->get(), root));
  PXFS_TRY(CheckVolumeIdentity(found, expected, root));
  found.name = expected.name;
  return std::make_shared<Volume>(id, root, std::move(found), std::move(*fd));
}

Status Volume::SetAccessTimes(const AccessTimes& rule) {
  if (::geteuid() != 0) return {};
  std::lock_guard lock(access_times_mutex_);
  if (private_mount_) return volumes::SetAccessTimes(private_mount_.get(), rule);
  PXFS_ASSIGN(private_mount_, MakePrivateMount(root_fd_.get(), rule));
  private_mount_fd_ = private_mount_.get();
  return {};
}

int Volume::opening_fd() const {
  const int fd = private_mount_fd_;
  return fd >= 0 ? fd : root_fd_.get();
}

Status Volume::CheckWritable() const {
  if (private_mount_fd_ >= 0 && ::faccessat(root_fd_.get(), ".", W_OK, AT_EACCESS) != 0 &&
      errno == EROFS)
    return FailErrno(EROFS, root_);
  return {};
}

Status Volume::MakeObjectDirectory(ObjectName name) const {
  const std::string directory = DirectoryOf(name);
  if (::mkdirat(root_fd_.get(), directory.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return FailErrno(errno, root_ + "/" + directory);
}

Result<UniqueFd> Volume::CreateObject(ObjectName name, int flags,
                                      const ObjectOwner& inode_owner) const {
  const ObjectOwner owner = OwnerOnDisk(inode_owner);
  const std::string path = name.RelativePath();
  UniqueFd fd;
  PXFS_TRY(WithDirectory(
      [&] {
        fd = UniqueFd(::openat(opening_fd(), path.c_str(), flags | O_CREAT | O_EXCL | O_CLOEXEC,
                               owner.mode & 07777));
        return fd ? 0 : errno;
      },
      [&] { return MakeObjectDirectory(name); }, root_ + "/" + path));
  // The umask took bits off the mode, and the owner is this process: put right what differs.
  struct stat st;
  if (::fstat(fd.get(), &st) != 0) return FailErrno(errno, root_ + "/" + path);
  const bool foreign = st.st_uid != owner.uid || st.st_gid != owner.gid;
  if ((foreign && ::fchown(fd.get(), owner.uid, owner.gid) != 0) ||
      // chown takes setuid and setgid off.
      ((foreign || (st.st_mode & 07777) != (owner.mode & 07777)) &&
       ::fchmod(fd.get(), owner.mode & 07777) != 0)) {
    const int error = errno;
    ::unlinkat(root_fd_.get(), path.c_str(), 0);
    return FailErrno(error, root_ + "/" + path);
  }
  return fd;
}

Result<UniqueFd> Volume::OpenObject(ObjectName name, int flags, const ObjectOwner* owner) const {
  if ((flags & O_CREAT) && !owner)
    return Fail(Code::kInvalid, name.RelativePath() + ": an object is made with an owner only");
  if ((flags & O_ACCMODE) != O_RDONLY) PXFS_TRY(CheckWritable());
  if ((flags & O_CREAT) && (flags & O_EXCL)) return CreateObject(name, flags, *owner);
  const std::string path = name.RelativePath();
  const int fd = ::openat(opening_fd(), path.c_str(), (flags & ~O_CREAT) | O_CLOEXEC);
  if (fd >= 0) return UniqueFd(fd);
  if (errno != ENOENT) return FailErrno(errno, root_ + "/" + path);
  if (!(flags & O_CREAT)) return Fail(Code::kNotFound);
  auto created = CreateObject(name, flags, *owner);
  // Somebody else made it in between: then theirs it is.
  if (!created && created.error() == Code::kExists)
    return OpenObject(name, flags & ~O_CREAT, owner);
  return created;
}

Result<struct stat> Volume::StatObject(ObjectName name) const {
  struct stat st;
  const std::string path = name.RelativePath();
  if (::fstatat(root_fd_.get(), path.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) return st;
  if (errno == ENOENT) return Fail(Code::kNotFound);
  return FailErrno(errno, root_ + "/" + path);
}

Status Volume::SetOwner(ObjectName name, const ObjectOwner& inode_owner) const {
  const ObjectOwner owner = OwnerOnDisk(inode_owner);
  const std::string path = name.RelativePath();
  PXFS_ASSIGN(const struct stat st, StatObject(name));
  const bool foreign = st.st_uid != owner.uid || st.st_gid != owner.gid;
  if (foreign && ::fchownat(root_fd_.get(), path.c_str(), owner.uid, owner.gid, 0) != 0)
    return FailErrno(errno, root_ + "/" + path);
  if ((foreign || (st.st_mode & 07777) != (owner.mode & 07777)) &&
      ::fchmodat(root_fd_.get(), path.c_str(), owner.mode & 07777, 0) != 0)
    return FailErrno(errno, root_ + "/" + path);
  return {};
}

Status Volume::SetTimes(ObjectName name, meta::Timestamp atime, meta::Timestamp mtime) const {
  const std::string path = name.RelativePath();
  const struct timespec times[2] = {ToTimespec(atime), ToTimespec(mtime)};
  if (::utimensat(root_fd_.get(), path.c_str(), times, 0) == 0) return {};
  if (errno == ENOENT) return Fail(Code::kNotFound);
  return FailErrno(errno, root_ + "/" + path);
}

Status Volume::SetOrigin(int object_fd, InodeId inode, const std::string& path) {
  const std::string bare = ToHex(inode.value) + " ";
  const std::string value = bare + path;
  if (::fsetxattr(object_fd, OriginXattr(), value.data(), value.size(), 0) == 0) return {};
  if ((errno == ENOSPC || errno == E2BIG || errno == ERANGE) &&
      ::fsetxattr(object_fd, OriginXattr(), bare.data(), bare.size(), 0) == 0)
    return {};
  return FailErrno(errno, OriginXattr());
}

Status Volume::RemoveObject(ObjectName name) const {
  const std::string path = name.RelativePath();
  if (::unlinkat(root_fd_.get(), path.c_str(), 0) == 0 || errno == ENOENT) return {};
  return FailErrno(errno, root_ + "/" + path);
}

void Volume::PruneDirectory(ObjectName name) const {
  // Not empty is the common answer; and a directory that stays costs nothing but its block.
  ::unlinkat(root_fd_.get(), DirectoryOf(name).c_str(), AT_REMOVEDIR);
}

Status Volume::AdoptByRename(int source_dir_fd, const std::string& source, ObjectName name) const {
  const std::string path = name.RelativePath();
  struct stat st;  // so that a missing source is not taken for a missing directory
  if (::fstatat(source_dir_fd, source.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
    return FailErrno(errno, source);
  return WithDirectory(
      [&] {
        return ::renameat2(source_dir_fd, source.c_str(), root_fd_.get(), path.c_str(),
                           RENAME_NOREPLACE) == 0
                   ? 0
                   : errno;
      },
      [&] { return MakeObjectDirectory(name); }, source);
}

Status Volume::AdoptByLink(int source_dir_fd, const std::string& source, ObjectName name) const {
  const std::string path = name.RelativePath();
  struct stat st;
  if (::fstatat(source_dir_fd, source.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
    return FailErrno(errno, source);
  return WithDirectory(
      [&] {
        return ::linkat(source_dir_fd, source.c_str(), root_fd_.get(), path.c_str(), 0) == 0
                   ? 0
                   : errno;
      },
      [&] { return MakeObjectDirectory(name); }, source);
}

Status Volume::SyncName(ObjectName name) const {
  // The directory of objects holds the name of this one's, which may be new.
  for (const std::string& directory : {DirectoryOf(name), std::string("objects")}) {
    PXFS_ASSIGN(const UniqueFd fd, OpenAt(root_fd_.get(), directory, O_RDONLY | O_DIRECTORY));
    if (::fsync(fd.get()) != 0) return FailErrno(errno, root_ + "/" + directory);
  }
  return {};
}

meta::VolumeReport Volume::Inspect() const {
  meta::VolumeReport report;
  report.volume = id_;
  const auto offline = [&](std::string problem) {
    report.usable = false;
    report.problem = std::move(problem);
    return report;
  };
  // By path, as it is now: the open descriptor would go on to show a disk that was unmounted
  // lazily.
  const auto now = Open(id_, root_, identity_);
  if (!now) return offline(now.error().message());
  struct stat here, opened;
  if (::fstat((*now)->root_fd(), &here) != 0 || ::fstat(root_fd_.get(), &opened) != 0)
    return offline(ErrnoError(errno, root_).message());
  if (here.st_dev != opened.st_dev || here.st_ino != opened.st_ino)
    return offline(root_ + ": another file system was mounted here");
  struct statvfs space;
  if (::fstatvfs(root_fd_.get(), &space) != 0) return offline(ErrnoError(errno, root_).message());
  report.total_bytes = space.f_blocks * space.f_frsize;
  report.free_bytes = space.f_bavail * space.f_frsize;
  if (IsReadOnly(root_fd_.get())) {
    report.read_only = true;
    report.problem = root_ + ": read-only; see the kernel's log, or mount it for writing";
  } else if (space.f_files != 0 && space.f_favail == 0) {
    report.free_bytes = 0;
    report.problem = root_ + ": no inodes left";
  }
  return report;
}

uint64_t Volume::FreeBytes() const {
  struct statvfs space;
  if (::fstatvfs(root_fd_.get(), &space) != 0) return 0;
  return space.f_bavail * space.f_frsize;
}

Status Volume::Sync() const {
  if (::syncfs(root_fd_.get()) != 0) return FailErrno(errno, root_);
  return {};
}

meta::Timestamp ToTimestamp(const struct timespec& time) {
  return {time.tv_sec, static_cast<uint32_t>(time.tv_nsec)};
}

struct timespec ToTimespec(const meta::Timestamp& time) {
  return {static_cast<time_t>(time.seconds), static_cast<long>(time.nanoseconds)};
}

meta::ContentState ContentOf(const struct stat& st) {
  meta::ContentState content;
  content.size_bytes = static_cast<uint64_t>(st.st_size);
  content.blocks = static_cast<uint64_t>(st.st_blocks);
  content.atime = ToTimestamp(st.st_atim);
  content.mtime = ToTimestamp(st.st_mtim);
  content.ctime = ToTimestamp(st.st_ctim);
  return content;
}

bool LooksChanged(const struct stat& object, const meta::Attr& attr) {
  const meta::ContentState content = ContentOf(object);
  return content.size_bytes != attr.size_bytes || content.mtime != attr.mtime;
}

}  // namespace pxfs::volumes
