#include "tests/crash/store_inspection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/bytes.h"
#include "cli/cluster.h"
#include "meta/check.h"
#include "meta/leveldb_engine.h"
#include "volumes/maintenance.h"
#include "volumes/settle.h"

namespace pxfs::test {
namespace {

namespace filesystem = std::filesystem;
using std::chrono::milliseconds;

constexpr uint32_t kBatch = 1'000;

class Inspection {
 public:
  explicit Inspection(cli::Cluster& cluster)
      : metadata_(cluster.metadata()), volumes_(cluster.volumes()) {}

  Result<std::vector<std::string>> Run() {
    PXFS_TRY(volumes::RecoverOpenFiles(metadata_, volumes_));
    PXFS_TRY(volumes::SettlePowerLoss(metadata_, volumes_));
    PXFS_TRY(ReclaimAll());
    PXFS_ASSIGN(const meta::Statistics statistics, metadata_.GetStatistics());
    Expect(statistics.orphans == 0, std::to_string(statistics.orphans) + " orphans stay");
    Expect(statistics.reclaim_queue == 0,
           std::to_string(statistics.reclaim_queue) + " objects stay unreclaimed");
    Expect(statistics.open_for_write == 0,
           std::to_string(statistics.open_for_write) + " files stay open for writing");
    for (const auto& volume : volumes_.All()) {
      PXFS_TRY(CheckObjects(*volume));
      PXFS_TRY(CheckReplicas(*volume));
    }
    return problems_;
  }

 private:
  void Expect(bool holds, const std::string& problem) {
    if (!holds) problems_.push_back(problem);
  }

  Status ReclaimAll() {
    for (;;) {
      PXFS_ASSIGN(const size_t reclaimed,
                  volumes::ReclaimOnce(metadata_, volumes_, kBatch, milliseconds(0)));
      if (reclaimed == 0) return {};
    }
  }

  // Every object is somebody's.
  Status CheckObjects(const volumes::Volume& volume) {
    for (const auto& entry : filesystem::recursive_directory_iterator(volume.root() + "/objects")) {
      if (entry.is_directory()) continue;
      const std::string path = entry.path(), name = entry.path().filename();
      const size_t dash = name.find('-');
      const auto inode = FromHex(name.substr(0, dash));
      const auto generation = FromHex(dash == std::string::npos ? "" : name.substr(dash + 1));
      if (!inode || !generation) {
        problems_.push_back(path + ": not the name of an object");
        continue;
      }
      const auto location = metadata_.Locate({}, InodeId(*inode));
      if (!location) {
        problems_.push_back(
            path + ": an object of an inode that is not there: " + location.error().message());
        continue;
      }
      const bool claimed = std::any_of(
          location->replicas.begin(), location->replicas.end(), [&](const meta::Replica& replica) {
            return replica.volume == volume.id() && replica.object_generation == *generation;
          });
      Expect(claimed, path + ": its inode has no such replica");
    }
    return {};
  }

  // Every replica is there, and as large as its inode says.
  Status CheckReplicas(const volumes::Volume& volume) {
    return meta::ForEachInodeOn(metadata_, volume.id(),
                                [&](InodeId inode) { return CheckInode(volume, inode); });
  }

  Status CheckInode(const volumes::Volume& volume, InodeId inode) {
    PXFS_ASSIGN(const meta::Location location, metadata_.Locate({}, inode));
    for (const meta::Replica& replica : location.replicas) {
      if (replica.volume != volume.id() || replica.state != meta::ReplicaState::kCurrent) continue;
      const std::string what =
          "inode " + std::to_string(inode.value) + " on " + volume.root() + ": ";
      const auto object = volume.StatObject({inode, replica.object_generation});
      if (!object) {
        if (!(object.error() == Code::kNotFound)) return Fail(object.error());
        Expect(!replica.materialized && location.attr.size_bytes == 0,
               what + "its object is missing");
        continue;
      }
      Expect(static_cast<uint64_t>(object->st_size) == location.attr.size_bytes,
             what + "the object has " + std::to_string(object->st_size) + " bytes, the inode " +
                 std::to_string(location.attr.size_bytes));
    }
    return {};
  }

  meta::MetadataService& metadata_;
  volumes::VolumeSet& volumes_;
  std::vector<std::string> problems_;
};

}  // namespace

Result<std::vector<std::string>> InspectCluster(const std::string& cluster_directory) {
  std::vector<std::string> problems;
  std::string store;
  {
    PXFS_ASSIGN(const auto cluster,
                cli::Cluster::Open(cluster_directory, cli::Access::kServe, milliseconds(10'000)));
    store = cluster->identity().store_directory() + "/leveldb";
    PXFS_ASSIGN(problems, Inspection(*cluster).Run());
  }
  PXFS_ASSIGN(const auto engine, meta::OpenLevelDb(store, false));
  PXFS_ASSIGN(const auto found, meta::CheckStore(*engine));
  problems.insert(problems.end(), found.begin(), found.end());
  return problems;
}

void ExpectSound(const std::string& cluster_directory) {
  const auto problems = InspectCluster(cluster_directory);
  ASSERT_TRUE(problems) << problems.error().message();
  for (const std::string& problem : *problems) ADD_FAILURE() << problem;
}

}  // namespace pxfs::test
