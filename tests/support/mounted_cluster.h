// A cluster mounted for a test, in one of the two shapes that pxfs runs in, and the proof that
// nothing of it is left.
//
//     auto mounted = MountedCluster::Start({.shape = Shape::kDaemon});
//     ASSERT_TRUE(mounted) << mounted.error().message();
//     ... (*mounted)->path() ...
//     EXPECT_STATUS((*mounted)->Stop());
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/mount_registry.h"
#include "base/result.h"
#include "tests/support/process.h"
#include "tests/support/temporary_cluster.h"

namespace pxfs::test {

enum class Shape {
  kEmbedded,  // the mount process serves the metadata itself
  kDaemon,    // a separate pxfsd does, behind its Unix socket
};
const char* ToString(Shape shape);
// For names of tests: the shape, and by which way `options` of a mount let data go.
std::string VariantName(Shape shape, const std::string& options);

// One mount of a cluster.
class Mount {
 public:
  // Runs mount.pxfs; `options` as after -o. The mount point is created.
  static Result<std::unique_ptr<Mount>> Start(const std::string& cluster_directory,
                                              const std::string& mountpoint,
                                              const std::string& options);
  // As Stop, if that was not called; a failure fails the test.
  ~Mount();
  Mount(const Mount&) = delete;
  Mount& operator=(const Mount&) = delete;

  const std::string& path() const { return mountpoint_; }
  const MountRecord& record() const { return record_; }
  // umount(2), then waits for every process of the mount to end.
  Status Stop();
  // SIGKILL for the mount's processes, supervisor first, then what is left of the mount is
  // detached.
  Status Kill();
  // Waits until the processes that are there now have ended.
  Status WaitForProcesses();

 private:
  explicit Mount(std::string mountpoint) : mountpoint_(std::move(mountpoint)) {}
  Status FindProcesses(const std::string& cluster_directory);

  std::string mountpoint_;
  MountRecord record_;
  std::vector<Process> processes_;  // supervisor, daemon
  bool stopped_ = false;
};

struct MountedOptions {
  Shape shape = Shape::kEmbedded;
  std::string options;  // of mount.pxfs, after -o
  ClusterOptions cluster;
  // Parts of lines that daemons are expected to log as errors.
  std::vector<std::string> expected_errors = {};
};

class MountedCluster {
 public:
  static Result<std::unique_ptr<MountedCluster>> Start(const MountedOptions& options);
  ~MountedCluster();

  const std::string& path() const { return mount_->path(); }
  TemporaryCluster& cluster() { return *cluster_; }
  Mount& mount() { return *mount_; }
  Daemon& daemon() { return daemon_; }  // pxfsd, in that shape

  // One more mount of the same cluster, to be stopped before this.
  Result<std::unique_ptr<Mount>> MountAgain(const std::string& name,
                                            const std::string& options = "");
  // Unmounts, ends pxfsd, and checks that no mount and no process is left and no daemon has logged
  // an error.
  Status Stop();
  // Mounts once more (and starts pxfsd once more) after Stop or Kill.
  Status Restart();
  // kill -9 of pxfsd alone, which is then started again; the mount goes on.
  Status KillAndRestartDaemon();
  // kill -9 of everything that serves the mount.
  Status Kill();
  // Log lines of level error or worse, of all daemons so far, apart from the expected ones.
  std::vector<std::string> LoggedErrors() const;
  // All lines that hold `part`, of all daemons so far.
  std::vector<std::string> LoggedLines(const std::string& part) const;

 private:
  MountedCluster() = default;
  Status StartDaemon();

  MountedOptions options_;
  std::unique_ptr<TemporaryCluster> cluster_;
  Daemon daemon_;
  std::unique_ptr<Mount> mount_;
};

// Starts pxfsd for a cluster directory and returns once it answers on its socket.
Result<Daemon> StartPxfsd(const std::string& cluster_directory, const std::string& log_file);

}  // namespace pxfs::test

// Fails the test where a Status or Result holds an error, and shows it.
#define EXPECT_STATUS(expression)                                            \
  do {                                                                       \
    if (const auto pxfs_status = (expression); !pxfs_status)                 \
      ADD_FAILURE() << #expression << ": " << pxfs_status.error().message(); \
  } while (0)
#define ASSERT_STATUS(expression)                                     \
  do {                                                                \
    if (const auto pxfs_status = (expression); !pxfs_status)          \
      FAIL() << #expression << ": " << pxfs_status.error().message(); \
  } while (0)
