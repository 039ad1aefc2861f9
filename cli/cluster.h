// An open cluster, as every program of pxfs begins: find the cluster directory, then either call
// the process that serves it or open the store here.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/cluster_directory.h"
#include "base/result.h"
#include "meta/service.h"
#include "volumes/volume.h"

namespace pxfs::cli {

enum class Access {
  kAny,    // the serving process if there is one, else the store itself
  kServe,  // the store itself, to serve it: kBusy if another process keeps it for longer than
           // `wait`
};

struct VolumeArgument {
  std::string path;  // absolute
  std::string name;  // empty: v1, v2, ...
  std::map<std::string, std::string> labels;
};

class Cluster {
 public:
  // Waits up to `wait` for a process that is just starting or leaving. The volumes have been looked
  // at once; with kAny and no serving process, files that a dead process had open are recovered
  // too. kNotFound, kInvalid, kCorruption as ReadIdentity; kBusy; kAccess and kNotPermitted for
  // users whom the store or the serving process refuses.
  // session_grace: where the store is opened here, how long clients of a process that died may take
  // to come back and resume their sessions.
  // max_inodes: how many inodes the store keeps in memory, where it is opened here; 0: the default.
  static Result<std::unique_ptr<Cluster>> Open(const std::string& directory, Access access,
                                               std::chrono::milliseconds wait,
                                               std::chrono::milliseconds session_grace = {},
                                               size_t max_inodes = 0);
  ~Cluster();

  const ClusterIdentity& identity() const { return identity_; }
  meta::MetadataService& metadata() { return *metadata_; }
  volumes::VolumeSet& volumes() { return *volumes_; }
  bool embedded() const { return embedded_; }  // the store is open in this process

 private:
  friend Result<ClusterIdentity> FormatCluster(const std::string&, const std::string&,
                                               const std::vector<VolumeArgument>&);
  Cluster() = default;
  // With a new, empty store; cluster.json is the caller's to write.
  static Result<std::unique_ptr<Cluster>> Create(ClusterIdentity identity);

  ClusterIdentity identity_;
  bool embedded_ = false;
  std::unique_ptr<meta::MetadataService> metadata_;
  std::unique_ptr<volumes::VolumeSet> volumes_;
};

// `PATH[,name=N,label=K=V...]`. kInvalid names the part.
Result<VolumeArgument> ParseVolumeArgument(const std::string& text);

// Makes a cluster directory and its volumes. Nothing is left behind on failure. kExists, kInvalid.
Result<ClusterIdentity> FormatCluster(const std::string& directory, const std::string& name,
                                      const std::vector<VolumeArgument>& volumes);
// Formats the volume, adds it to metadata, and waits until files can be placed there. As
// FormatCluster.
Result<meta::VolumeInfo> AddVolume(Cluster& cluster, const VolumeArgument& volume);

// What a user may want to know of the volumes' places, such as two volumes on one file system; one
// line each.
Result<std::vector<std::string>> VolumeWarnings(Cluster& cluster);

}  // namespace pxfs::cli
