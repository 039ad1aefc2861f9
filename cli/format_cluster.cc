#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>

#include "base/bytes.h"
#include "cli/cluster.h"
#include "cli/paths.h"
#include "cli/volume_names.h"
#include "meta/local_service.h"

namespace pxfs::cli {
namespace {

namespace stdfs = std::filesystem;

// Ctrl-C takes effect once all is made or all is taken back.
class SignalsHeld {
 public:
  SignalsHeld() {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&set, signal);
    ::pthread_sigmask(SIG_BLOCK, &set, &before_);
  }
  ~SignalsHeld() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;

 private:
  sigset_t before_;
};

Status CheckDirectory(const std::string& directory) {
  if (const std::string mounted = MountedClusterAt(directory); !mounted.empty())
    return Fail(Code::kInvalid, directory + ": lies in a mount of the cluster " + mounted +
                                    "; a cluster directory needs a disk");
  std::error_code error;
  if (!stdfs::exists(directory, error)) return {};
  if (!stdfs::is_directory(directory, error))
    return Fail(Code::kNotDirectory,
                directory + ": exists and is not a directory; give a new or empty one");
  if (stdfs::exists(directory + "/cluster.json", error))
    return Fail(Code::kExists, directory + ": is a cluster directory already; give another");
  stdfs::directory_iterator entries(directory, error);
  if (error) return FailErrno(error.value(), directory);
  if (entries != stdfs::directory_iterator())
    return Fail(Code::kExists, directory + ": not empty (it holds '" +
                                   entries->path().filename().string() +
                                   "'); a cluster needs a new or empty directory");
  return {};
}

// Mistakes that show without making anything.
Status CheckVolumes(const std::vector<VolumeArgument>& volumes) {
  if (volumes.empty()) return Fail(Code::kInvalid, "no volume: give at least one --volume PATH");
  for (size_t i = 0; i < volumes.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (volumes[i].path == volumes[j].path)
        return Fail(Code::kInvalid, volumes[i].path + ": given twice as a volume");
      if (IsWithin(volumes[i].path, volumes[j].path) || IsWithin(volumes[j].path, volumes[i].path))
        return Fail(Code::kInvalid, volumes[i].path + ": overlaps the volume " + volumes[j].path +
                                        "; give directories beside each other");
      if (!volumes[i].name.empty() && volumes[i].name == volumes[j].name)
        return Fail(Code::kInvalid, "volume name '" + volumes[i].name + "': given to both " +
                                        volumes[j].path + " and " + volumes[i].path);
    }
  }
  return {};
}

Status MakeDirectory(const std::string& path, unsigned mode) {
  if (::mkdir(path.c_str(), mode) != 0) return FailErrno(errno, path);
  // Whatever the umask.
  if (::chmod(path.c_str(), mode) != 0) return FailErrno(errno, path);
  return {};
}

struct MadeVolume {
  std::string path;
  volumes::VolumeIdentity identity;
  std::vector<std::string> new_directories;
};

// Takes everything back; the problems in doing so are added to `error`.
Error Undo(const std::string& directory, const std::vector<std::string>& new_directories,
           const std::vector<MadeVolume>& volumes, Error error) {
  const auto add = [&](const std::string& problem) {
    error = Error(error.code(), error.message() + "; also, taking it back failed: " + problem);
  };
  for (const MadeVolume& volume : volumes) {
    if (const auto undone = volumes::Volume::Unformat(volume.path, volume.identity); !undone)
      add(undone.error().message());
    RemoveDirectories(volume.new_directories);
  }
  for (const char* made : {"/meta", "/run", "/jobs", "/log", "/cluster.json"}) {
    std::error_code failed;
    stdfs::remove_all(directory + made, failed);
    if (failed) add(directory + made + ": " + failed.message());
  }
  RemoveDirectories(new_directories);
  return error;
}

}  // namespace

Result<std::unique_ptr<Cluster>> Cluster::Create(ClusterIdentity identity) {
  std::unique_ptr<Cluster> cluster(new Cluster());
  cluster->identity_ = std::move(identity);
  cluster->embedded_ = true;
  meta::LocalOptions options;
  options.directory = cluster->identity_.store_directory();
  options.create = true;
  PXFS_ASSIGN(cluster->metadata_, meta::OpenLocalService(options));
  cluster->volumes_ =
      std::make_unique<volumes::VolumeSet>(cluster->identity_.uuid, *cluster->metadata_);
  return cluster;
}

Result<ClusterIdentity> FormatCluster(const std::string& directory, const std::string& name,
                                      const std::vector<VolumeArgument>& volumes) {
  ClusterIdentity identity;
  PXFS_ASSIGN(identity.directory, CanonicalPath(directory));
  identity.uuid = NewUuid();
  if (!name.empty()) PXFS_TRY(CheckName("cluster name", name));
  identity.name = name.empty() ? stdfs::path(identity.directory).filename().string() : name;
  if (!CheckName("cluster name", identity.name)) identity.name = "pxfs";
  PXFS_TRY(CheckDirectory(identity.directory));
  PXFS_TRY(CheckVolumes(volumes));

  const SignalsHeld held;
  const std::vector<std::string> new_directories = MissingDirectories(identity.directory);
  std::vector<MadeVolume> made;
  const auto make = [&]() -> Status {
    PXFS_TRY(MakeDirectories(identity.directory));
    PXFS_TRY(MakeDirectory(identity.run_directory(), 0755));
    PXFS_TRY(MakeDirectory(identity.jobs_directory(), 0700));
    PXFS_TRY(MakeDirectory(identity.log_directory(), 0755));
    PXFS_ASSIGN(const auto cluster, Cluster::Create(identity));
    for (const VolumeArgument& volume : volumes) {
      MadeVolume next{volume.path, {identity.uuid, "", ""}, MissingDirectories(volume.path)};
      PXFS_ASSIGN(const meta::VolumeInfo info, AddVolume(*cluster, volume));
      next.identity.volume_uuid = info.uuid;
      next.identity.name = info.name;
      made.push_back(std::move(next));
    }
    PXFS_TRY(cluster->metadata().Sync());
    // Last: what has a cluster.json is complete.
    PXFS_TRY(WriteIdentity(identity));
    // With the directories above, which may be new.
    return SyncFileSystem(identity.directory);
  };
  if (const Status done = make(); !done)
    return Fail(Undo(identity.directory, new_directories, made, done.error()));
  return identity;
}

}  // namespace pxfs::cli
