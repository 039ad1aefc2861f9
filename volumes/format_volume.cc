// Volume::Format: a new volume at an empty place.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "volumes/identity.h"
#include "volumes/volume.h"

namespace pxfs::volumes {
namespace {

constexpr const char* kDirectories[] = {"/objects", "/staging", "/views"};

// The name of something in the directory; empty where there is nothing. A fresh ext4's lost+found
// counts as nothing.
Result<std::string> FirstEntry(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(directory.c_str()), ::closedir);
  if (!dir) return FailErrno(errno, directory);
  errno = 0;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != ".." && name != "lost+found") return name;
  }
  if (errno != 0) return FailErrno(errno, directory);
  return std::string();
}

Status CheckEmpty(const std::string& root) {
  PXFS_ASSIGN(const UniqueFd fd, OpenAt(AT_FDCWD, root, O_RDONLY | O_DIRECTORY));
  if (const auto identity = ReadVolumeIdentity(fd.get(), root))
    return Fail(Code::kExists, root + ": is a volume (" + identity->name + ") of cluster " +
                                   identity->cluster_uuid + " already; give another directory");
  PXFS_ASSIGN(const std::string entry, FirstEntry(root));
  if (!entry.empty())
    return Fail(Code::kExists, root + ": not empty (it holds '" + entry +
                                   "'); a volume needs an empty or new directory");
  return {};
}

Status MakeClosedDirectory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0) return FailErrno(errno, path);
  // A default ACL of the place would be inherited by every object.
  for (const char* acl : {"system.posix_acl_default", "system.posix_acl_access"}) {
    if (::removexattr(path.c_str(), acl) != 0 && errno != ENODATA && errno != EOPNOTSUPP)
      return FailErrno(errno, path);
  }
  if (::chmod(path.c_str(), 0700) != 0) return FailErrno(errno, path);
  return {};
}

}  // namespace

Status Volume::Format(const std::string& root, const VolumeIdentity& identity) {
  bool made_root = false;
  struct stat st;
  if (::stat(root.c_str(), &st) == 0) {
    if (!S_ISDIR(st.st_mode)) return Fail(Code::kNotDirectory, root + ": a volume is a directory");
    PXFS_TRY(CheckEmpty(root));
  } else if (errno == ENOENT) {
    PXFS_TRY(MakeDirectories(root));
    made_root = true;
  } else {
    return FailErrno(errno, root);
  }

  const auto make = [&]() -> Status {
    for (const char* directory : kDirectories) PXFS_TRY(MakeClosedDirectory(root + directory));
    // Last: what has an identity is complete.
    PXFS_TRY(WriteVolumeIdentity(root, identity));
    // With the directories above, which may be new.
    return SyncFileSystem(root);
  };
  Status made = make();
  if (!made) {
    for (const char* directory : kDirectories) ::rmdir((root + directory).c_str());
    if (made_root) ::rmdir(root.c_str());
  }
  return made;
}

Status Volume::Unformat(const std::string& root, const VolumeIdentity& identity) {
  PXFS_ASSIGN(const UniqueFd fd, OpenAt(AT_FDCWD, root, O_RDONLY | O_DIRECTORY));
  PXFS_ASSIGN(const VolumeIdentity found, ReadVolumeIdentity(fd.get(), root));
  PXFS_TRY(CheckVolumeIdentity(found, identity, root));
  for (const char* directory : kDirectories) {
    if (::rmdir((root + directory).c_str()) != 0 && errno != ENOENT)
      return FailErrno(errno, root + directory);
  }
  if (::unlinkat(fd.get(), kIdentityFile, 0) != 0)
    return FailErrno(errno, root + "/" + kIdentityFile);
  return {};
}

}  // namespace pxfs::volumes
