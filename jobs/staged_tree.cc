#include "jobs/staged_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>

#include "jobs/input_walk.h"
#include "jobs/staging.h"

namespace pxfs::jobs {
namespace {

struct CloseDirectory {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

Result<std::vector<std::string>> Names(int directory_fd, const std::string& shown) {
  const int fd = ::openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FailErrno(errno, shown);
  std::unique_ptr<DIR, CloseDirectory> dir(::fdopendir(fd));
  if (!dir) {
    ::close(fd);
    return FailErrno(errno, shown);
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
    errno = 0;
  }
  if (errno != 0) return FailErrno(errno, shown);
  std::sort(names.begin(), names.end());
  return names;
}

// Attributes that travel with a file: the user's own and access control lists.
bool IsPublished(std::string_view xattr) {
  return xattr.starts_with("user.") || xattr == "system.posix_acl_access" ||
         xattr == "system.posix_acl_default";
}

Status ReadXattrs(int directory_fd, const std::string& name, const std::string& shown,
                  std::map<std::string, std::string>& out) {
  // No *at() call reads attributes of a file that cannot be opened, so by its name below the open
  // directory.
  const std::string path = "/proc/self/fd/" + std::to_string(directory_fd) + "/" + name;
  std::vector<char> list(XATTR_LIST_MAX);
  const ssize_t size = ::llistxattr(path.c_str(), list.data(), list.size());
  if (size < 0) return errno == ENOTSUP ? Status{} : Status{FailErrno(errno, shown)};
  for (ssize_t at = 0; at < size;) {
    const std::string key = list.data() + at;
    at += static_cast<ssize_t>(key.size()) + 1;
    if (!IsPublished(key)) continue;
    std::string value(XATTR_SIZE_MAX, '\0');
    const ssize_t length = ::lgetxattr(path.c_str(), key.c_str(), value.data(), value.size());
    if (length < 0) return FailErrno(errno, shown + ": " + key);
    value.resize(static_cast<size_t>(length));
    out[key] = std::move(value);
  }
  return {};
}

}  // namespace

Status StagedTree::Add(const volumes::Volume& volume, TaskKey key) {
  const std::string root = StagingPath(key);
  PXFS_ASSIGN(const UniqueFd fd,
              OpenAt(volume.root_fd(), root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  return AddDirectory(volume, key, fd.get(), "");
}

Status StagedTree::AddDirectory(const volumes::Volume& volume, TaskKey key, int fd,
                                const std::string& path) {
  PXFS_ASSIGN(const auto names, Names(fd, path));
  for (const auto& name : names) {
    PXFS_TRY(AddEntry(volume, key, fd, name, JoinPath(path, name)));
  }
  return {};
}

Status StagedTree::AddEntry(const volumes::Volume& volume, TaskKey key, int directory_fd,
                            const std::string& name, const std::string& path) {
  struct stat st;
  if (::fstatat(directory_fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
    return FailErrno(errno, path);
  }
  if (S_ISSOCK(st.st_mode)) return {};
  const bool directory = S_ISDIR(st.st_mode);
  const auto [origin, fresh] = origins_.try_emplace(path, Origin{key.task, directory});
  if (!fresh && !(directory && origin->second.directory)) {
    return Fail(Code::kExists, "tasks " + std::to_string(origin->second.task) + " and " +
                                   std::to_string(key.task) + " both wrote '" + path + "'");
  }
  if (fresh) {
    StagedNode staged;
    meta::TreeNode& node = staged.node;
    node.path = path;
    node.mode = st.st_mode;
    node.uid = st.st_uid;
    node.gid = st.st_gid;
    node.rdev = st.st_rdev;
    node.atime = volumes::ToTimestamp(st.st_atim);
    node.mtime = volumes::ToTimestamp(st.st_mtim);
    if (S_ISLNK(st.st_mode)) {
      std::string target(PATH_MAX, '\0');
      const ssize_t size = ::readlinkat(directory_fd, name.c_str(), target.data(), target.size());
      if (size < 0) return FailErrno(errno, path);
      target.resize(static_cast<size_t>(size));
      node.symlink_target = std::move(target);
    } else {
      PXFS_TRY(ReadXattrs(directory_fd, name, path, node.xattrs));
    }
    if (S_ISREG(st.st_mode)) {
      node.size_bytes = static_cast<uint64_t>(st.st_size);
      node.blocks = static_cast<uint64_t>(st.st_blocks);
      staged.volume = volume.id();
      staged.path_on_volume = JoinPath(StagingPath(key), path);
    }
    if (!directory && st.st_nlink > 1) {
      const auto [first, is_first] = linked_.try_emplace({st.st_dev, st.st_ino}, path);
      if (!is_first) node.hard_link_to = first->second;
    }
    nodes_.push_back(std::move(staged));
  }
  if (!directory) return {};
  PXFS_ASSIGN(const UniqueFd fd, OpenAt(directory_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  return AddDirectory(volume, key, fd.get(), path);
}

}  // namespace pxfs::jobs
