#include "base/cluster_directory.h"

#include <sys/stat.h>
#include <sys/xattr.h>

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

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
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
    if (auto cluster = GetStringXattr(path, "user.pxfs.cluster")) return cluster;
    if (auto cluster = GetStringXattr(ParentOf(path), "user.pxfs.cluster")) return cluster;
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
  std::string trimmed = path;
  while (trimmed.size() > 1 && trimmed.back() == '/') trimmed.pop_back();
  const std::string name = trimmed.substr(trimmed.rfind('/') + 1);
  if (!name.empty() && name != "." && name != "..") {
    if (auto parent = GetStringXattr(ParentOf(trimmed), "user.pxfs.path"))
      return (*parent == "/" ? "" : *parent) + "/" + name;
  }
  return Fail(Code::kNotFound,
              path + ": not inside a pxfs mount; give a path inside one, or pxfs:/PATH");
}

}  // namespace pxfs
