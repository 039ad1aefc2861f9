#include "base/cluster_directory.h"

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "base/json_file.h"

namespace pxfs {
namespace {

constexpr int kFormatVersion = 1;
constexpr const char* kScheme = "pxfs:";

Result<std::string> GetStringXattr(const std::string& path, const char* name) {
  std::string value(PATH_MAX, '\0');
  const ssize_t n = ::getxattr(path.c_str(), name, value.data(), value.size());
  if (n < 0) return FailErrno(errno, path);
  value.resize(static_cast<size_t>(n));
  return value;
}

std::string WithoutTrailingSlashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool IsOwnDirectory(const std::string& path) { return path == "/" || path == "."; }

// Whether what is at `path` is of the same file system as the directory that it is named in: not a
// mount, and no symlink to elsewhere.
bool BelongsToParent(const struct stat& st, const std::string& path) {
  struct stat parent;
  return ::stat(ParentOf(path).c_str(), &parent) == 0 && parent.st_dev == st.st_dev;
}

// The cluster whose mount `path` lies in; where it does not exist, its nearest ancestor that does.
Result<std::string> MountedClusterOf(std::string path) {
  for (;;) {
    auto cluster = GetStringXattr(path, "user.pxfs.cluster");
    if (cluster) return cluster;
    struct stat st;
    const bool there = ::stat(path.c_str(), &st) == 0;
    // Special files have no such attributes: their directory knows.
    if (there && (S_ISDIR(st.st_mode) || !BelongsToParent(st, path))) return Fail(cluster.error());
    if (IsOwnDirectory(path)) return Fail(Code::kNotFound);
    path = ParentOf(path);
  }
}

std::string Absolute(const std::string& path) {
  char resolved[PATH_MAX];
  return ::realpath(path.c_str(), resolved) ? resolved : path;
}

// The cluster directories of all pxfs mounts that this process can see.
std::set<std::string> MountedClusters() {
  std::set<std::string> clusters;
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string source, mountpoint, type;
    if (!(fields >> source >> mountpoint >> type) || type != "fuse.pxfs") continue;
    if (auto cluster = GetStringXattr(UnescapeMountField(mountpoint), "user.pxfs.cluster"))
      clusters.insert(*cluster);
  }
  return clusters;
}

}  // namespace

std::string UnescapeMountField(const std::string& field) {
  std::string out;
  for (size_t i = 0; i < field.size(); ++i) {
    if (field[i] == '\\' && i + 3 < field.size()) {
      out += static_cast<char>(std::strtol(field.substr(i + 1, 3).c_str(), nullptr, 8));
      i += 3;
    } else {
      out += field[i];
    }
  }
  return out;
}

bool OwnsCluster(const std::string& directory) {
  struct stat st;
  return ::geteuid() == 0 || (::stat(directory.c_str(), &st) == 0 && st.st_uid == ::geteuid());
}

Result<ClusterIdentity> ReadIdentity(const std::string& directory) {
  ClusterIdentity identity;
  identity.directory = Absolute(directory);
  const std::string file = identity.directory + "/cluster.json";
  auto json = ReadJsonFile(file);
  if (!json) {
    if (json.error() == Code::kNotFound || json.error() == Code::kNotDirectory)
      return Fail(Code::kNotFound, directory +
                                       ": not a cluster directory; make one with 'pxfs format " +
                                       directory + " --volume PATH'");
    return Fail(json.error());
  }
  const auto version = json->is_object() ? json->value("version", 0) : 0;
  if (version > kFormatVersion)
    return Fail(Code::kInvalid, file + ": format " + std::to_string(version) +
                                    " is newer than this pxfs (" + std::to_string(kFormatVersion) +
                                    "); use a newer pxfs");
  if (version < 1 || !json->contains("uuid") || !(*json)["uuid"].is_string())
    return Fail(Code::kCorruption, file + ": damaged; it must hold version and uuid");
  identity.uuid = (*json)["uuid"];
  identity.name = json->value("name", "");
  return identity;
}

Status WriteIdentity(const ClusterIdentity& identity) {
  return WriteJsonFile(
      identity.directory + "/cluster.json",
      {{"version", kFormatVersion}, {"uuid", identity.uuid}, {"name", identity.name}});
}

Result<std::string> FindCluster(const std::string& option, const std::string& path) {
  if (!option.empty()) return Absolute(option);
  if (const char* variable = std::getenv("PXFS_CLUSTER"); variable && *variable)
    return Absolute(variable);
  if (!path.empty() && path.rfind(kScheme, 0) != 0) {
    if (auto cluster = MountedClusterOf(WithoutTrailingSlashes(path))) return cluster;
  }
  const auto clusters = MountedClusters();
  if (clusters.size() == 1) return *clusters.begin();
  if (clusters.empty())
    return Fail(Code::kNotFound, "no cluster: give --cluster DIR, set PXFS_CLUSTER, or mount one");
  return Fail(Code::kNotFound,
              std::to_string(clusters.size()) +
                  " clusters are mounted: say which with --cluster DIR or PXFS_CLUSTER");
}

Result<std::string> NamespacePath(const std::string& path) {
  if (path.rfind(kScheme, 0) == 0) {
    const std::string inside = path.substr(5);
    if (inside.empty() || inside[0] != '/')
      return Fail(Code::kInvalid, path + ": a namespace path is written pxfs:/PATH");
    return inside;
  }
  if (auto inside = GetStringXattr(path, "user.pxfs.path")) return inside;
  const std::string trimmed = WithoutTrailingSlashes(path);
  const std::string name = trimmed.substr(trimmed.rfind('/') + 1);
  struct stat st;
  const bool there = ::stat(path.c_str(), &st) == 0;
  const bool by_parent = there ? !S_ISDIR(st.st_mode) && BelongsToParent(st, trimmed)
                               : !name.empty() && name != "." && name != "..";
  if (by_parent) {
    if (auto parent = GetStringXattr(ParentOf(trimmed), "user.pxfs.path"))
      return (*parent == "/" ? "" : *parent) + "/" + name;
  }
  if (!there && MountedClusterOf(trimmed))
    return Fail(Code::kNotFound, path + ": no such file or directory");
  return Fail(Code::kNotFound,
              path + ": not inside a pxfs mount; give a path inside one, or pxfs:/PATH");
}

}  // namespace pxfs
