#include "cli/load_cluster.h"

#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>

#include "base/cluster_directory.h"
#include "base/unique_fd.h"
#include "cli/paths.h"
#include "meta/fsck.h"
#include "meta/local_service.h"
#include "meta/store_lock.h"

namespace pxfs::cli {
namespace {

namespace stdfs = std::filesystem;

bool Exists(const std::string& path) {
  struct stat st;
  return ::lstat(path.c_str(), &st) == 0;
}

// Nothing but what a load makes, which writes the identity last: one was killed midway, or the
// identity is lost.
Result<bool> IsHalfMade(const std::string& directory) {
  std::error_code error;
  for (stdfs::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename();
    if (name != "meta" && !name.starts_with("meta.") && name != "run" && name != "jobs" &&
        name != "log")
      return false;
  }
  if (error) return FailErrno(error.value(), directory);
  return true;
}

// What `directory` is now: nothing, or the cluster of the dump.
Status CheckDirectory(const std::string& file, const std::string& directory,
                      const meta::DumpSummary& dump) {
  if (const std::string mounted = MountedClusterAt(directory); !mounted.empty())
    return Fail(Code::kInvalid, directory + ": lies in a mount of the cluster " + mounted +
                                    "; a cluster directory needs a disk");
  if (Exists(directory + "/cluster.json")) {
    PXFS_ASSIGN(const ClusterIdentity identity, ReadIdentity(directory));
    if (identity.uuid != dump.cluster_uuid)
      return Fail(Code::kInvalid, directory + ": cluster " + identity.uuid + ", but " + file +
                                      " is of cluster " + dump.cluster_name + " (" +
                                      dump.cluster_uuid + "); give its own or a new directory");
    return {};
  }
  if (!Exists(directory)) return {};
  PXFS_ASSIGN(const bool half_made, IsHalfMade(directory));
  if (!half_made)
    return Fail(Code::kExists, directory + ": not empty and no cluster directory; give another");
  return {};
}

Status Rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return FailErrno(errno, from);
  return {};
}

std::string KeptName(const std::string& store) {
  char stamp[32];
  const time_t now = ::time(nullptr);
  struct tm utc;
  ::gmtime_r(&now, &utc);
  ::strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &utc);
  const std::string name = store + ".replaced-" + stamp;
  std::string kept = name;
  for (int i = 2; Exists(kept); ++i) kept = name + "-" + std::to_string(i);
  return kept;
}

// The new store in place of what is there. `lock` is held on that.
Status PutInPlace(const std::string& made, const std::string& store, const std::string& kept) {
  if (!kept.empty()) PXFS_TRY(Rename(store, kept));
  const Status renamed = Rename(made, store);
  if (!renamed && !kept.empty()) PXFS_TRY(Rename(kept, store));
  PXFS_TRY(renamed);
  return SyncDirectory(stdfs::path(store).parent_path());
}

// What had no name yet when the dump was made may have got one since, and its object is all that is
// left of it: it must not go with the session that the dump says holds it.
Status KeepUnfinished(const std::string& store) {
  PXFS_ASSIGN(const auto fsck, meta::StoreFsck::Open(store, std::chrono::milliseconds(0)));
  PXFS_ASSIGN(const bool any, fsck->ForgetUnfinished());
  if (!any) return {};
  const auto no_volumes = [](InodeId,
                             const std::set<VolumeId>&) -> Result<std::optional<meta::Location>> {
    return Fail(Code::kUnavailable);
  };
  // New numbers are higher than those of the objects: LoadDump has seen to that.
  return fsck->Repair(no_volumes, InodeId());
}

Status CompleteDirectory(const ClusterIdentity& identity) {
  PXFS_TRY(MakeDirectories(identity.run_directory(), 0755));
  PXFS_TRY(MakeDirectories(identity.jobs_directory(), 0700));
  PXFS_TRY(MakeDirectories(identity.log_directory(), 0755));
  if (!Exists(identity.directory + "/cluster.json")) PXFS_TRY(WriteIdentity(identity));
  return SyncDirectory(identity.directory);
}

}  // namespace

Result<LoadedCluster> LoadCluster(const std::string& file, const std::string& directory,
                                  bool replace) {
  if (directory.empty())
    return Fail(Code::kInvalid, "say with --cluster which directory the metadata goes to");
  LoadedCluster loaded;
  PXFS_ASSIGN(loaded.directory, CanonicalPath(directory));
  PXFS_ASSIGN(const meta::DumpSummary dump, meta::ReadDump(file, {}));
  PXFS_TRY(CheckDirectory(file, loaded.directory, dump));
  const ClusterIdentity identity{dump.cluster_uuid, dump.cluster_name, loaded.directory};
  const std::string store = identity.store_directory(), made = store + ".loading";

  UniqueFd lock;
  if (Exists(store)) {
    if (!replace)
      return Fail(Code::kExists, store +
                                     ": there is a metadata store; --replace puts the dump in "
                                     "its place and keeps it under another name");
    PXFS_ASSIGN(lock, meta::LockStore(store + "/lock", std::chrono::milliseconds(0)));
    loaded.replaced = KeptName(store);
  }
  std::error_code error;
  stdfs::remove_all(made, error);  // of a load that was killed
  if (error) return FailErrno(error.value(), made);
  const std::vector<std::string> new_directories = MissingDirectories(loaded.directory);
  const auto load = [&]() -> Status {
    PXFS_ASSIGN(loaded.summary, meta::LoadDump(file, made));
    PXFS_TRY(KeepUnfinished(made));
    return PutInPlace(made, store, loaded.replaced);
  };
  if (const Status done = load(); !done) {
    stdfs::remove_all(made, error);
    RemoveDirectories(new_directories);
    return Fail(done.error());
  }
  PXFS_TRY(CompleteDirectory(identity));
  return loaded;
}

}  // namespace pxfs::cli
