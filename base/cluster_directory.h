// A cluster directory and how programs find it. On disk (docs/formats.md): cluster.json (identity),
// meta/ (the store), run/pxfs.sock (while a process serves it), jobs/, log/.
#pragma once

#include <string>

#include "base/result.h"

namespace pxfs {

struct ClusterIdentity {
  std::string uuid;
  std::string name;
  std::string directory;  // absolute

  std::string store_directory() const { return directory + "/meta"; }
  std::string run_directory() const { return directory + "/run"; }
  std::string heat_path() const { return directory + "/run/heat"; }  // volumes::HeatTable
  std::string socket_path() const { return directory + "/run/pxfs.sock"; }
  std::string jobs_directory() const { return directory + "/jobs"; }
  std::string log_directory() const { return directory + "/log"; }
};

// kNotFound: no cluster here (says how to make one); kInvalid: a newer format; kCorruption.
Result<ClusterIdentity> ReadIdentity(const std::string& directory);

// This process may open the store of the cluster: root, and whose the cluster directory is.
bool OwnsCluster(const std::string& directory);

// The cluster directory meant by `--cluster`, $PXFS_CLUSTER, the mount that `path` lies in, or the
// only pxfs mount there is; in this order. kNotFound says what was tried.
Result<std::string> FindCluster(const std::string& option, const std::string& path = "");

// Writes cluster.json into `identity.directory`, which exists.
Status WriteIdentity(const ClusterIdentity& identity);

// The path within the namespace of a host path inside a mount (xattr user.pxfs.path), or of
// `pxfs:/PATH`. The last component need not exist. kNotFound: not inside a pxfs mount, or the
// directory is not there.
Result<std::string> NamespacePath(const std::string& path);

// A field of /proc/self/mounts or mountinfo as it was before blanks and backslashes became \\ooo.
std::string UnescapeMountField(const std::string& field);

}  // namespace pxfs
