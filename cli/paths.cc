#include "cli/paths.h"

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <climits>
#include <filesystem>

namespace pxfs::cli {

namespace stdfs = std::filesystem;

Result<std::string> CanonicalPath(const std::string& path) {
  if (path.empty()) return Fail(Code::kInvalid, "an empty path");
  std::error_code error;
  stdfs::path canonical = stdfs::weakly_canonical(stdfs::absolute(path, error), error);
  if (error) return FailErrno(error.value(), path);
  std::string text = canonical.lexically_normal().string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

bool IsWithin(const std::string& path, const std::string& directory) {
  if (directory == "/") return true;
  return path == directory || (path.size() > directory.size() && path.starts_with(directory) &&
                               path[directory.size()] == '/');
}

std::string MountedClusterAt(const std::string& canonical_path) {
  stdfs::path path = canonical_path;
  struct stat st;
  while (path.has_relative_path() && ::lstat(path.c_str(), &st) != 0) path = path.parent_path();
  // Symlinks and special files have no such attributes.
  if (::lstat(path.c_str(), &st) == 0 && !S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
    path = path.parent_path();
  char cluster[PATH_MAX];
  const ssize_t size = ::getxattr(path.c_str(), "user.pxfs.cluster", cluster, sizeof cluster);
  return size > 0 ? std::string(cluster, static_cast<size_t>(size)) : std::string();
}

std::vector<std::string> MissingDirectories(const std::string& canonical_path) {
  std::vector<std::string> missing;
  struct stat st;
  for (stdfs::path path = canonical_path;
       path.has_relative_path() && ::lstat(path.c_str(), &st) != 0; path = path.parent_path())
    missing.insert(missing.begin(), path.string());
  return missing;
}

void RemoveDirectories(const std::vector<std::string>& directories) {
  for (auto it = directories.rbegin(); it != directories.rend(); ++it) ::rmdir(it->c_str());
}

}  // namespace pxfs::cli
