#include "cli/fsck/rebuild.h"

#include <fcntl.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/cluster_directory.h"
#include "base/unique_fd.h"
#include "cli/fsck/objects.h"
#include "cli/load_cluster.h"
#include "cli/paths.h"
#include "meta/dump.h"
#include "meta/fsck.h"
#include "meta/local_service.h"
#include "volumes/identity.h"
#include "volumes/metadata_copy.h"
#include "volumes/object_walk.h"
#include "volumes/origin.h"

namespace pxfs::cli {
namespace {

namespace stdfs = std::filesystem;
using volumes::ObjectName;

// A directory that is removed with all that is in it.
class ScratchDirectory {
 public:
  static Result<ScratchDirectory> Make(const std::string& path) {
    std::error_code error;
    stdfs::remove_all(path, error);  // of one that was killed
    if (error) return FailErrno(error.value(), path);
    PXFS_TRY(MakeDirectories(path, 0700));
    return ScratchDirectory(path);
  }
  explicit ScratchDirectory(std::string path) : path_(std::move(path)) {}
  ScratchDirectory(ScratchDirectory&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  ScratchDirectory& operator=(ScratchDirectory&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  ~ScratchDirectory() {
    std::error_code ignored;  // nothing depends on it being gone
    if (!path_.empty()) stdfs::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct Copy {
  std::string file;
  meta::DumpSummary summary;
};

// The volumes that were given, those that their copies of the metadata speak of, and the newest of
// these.
class Search {
 public:
  explicit Search(RebuildReport& report) : report_(report) {}

  Status Add(const std::string& argument) {
    PXFS_ASSIGN(const std::string root, CanonicalPath(argument));
    PXFS_ASSIGN(const UniqueFd fd, OpenAt(AT_FDCWD, root, O_RDONLY | O_DIRECTORY));
    PXFS_ASSIGN(const auto identity, volumes::ReadVolumeIdentity(fd.get(), root));
    if (!report_.cluster_uuid.empty() && identity.cluster_uuid != report_.cluster_uuid)
      return Fail(Code::kInvalid, root + ": a volume of cluster " + identity.cluster_uuid +
                                      ", the ones before are of " + report_.cluster_uuid);
    report_.cluster_uuid = identity.cluster_uuid;
    if (!roots_.emplace(identity.volume_uuid, std::make_pair(root, identity.name)).second)
      return {};
    return LookForCopy(root);
  }

  const std::optional<Copy>& newest() const { return newest_; }
  // By the volumes' UUIDs: root and name.
  const std::map<std::string, std::pair<std::string, std::string>>& roots() const { return roots_; }

 private:
  Status LookForCopy(const std::string& root) {
    const std::string file = root + "/" + volumes::kMetadataCopyFile;
    std::error_code error;
    if (!stdfs::exists(file, error)) return {};
    std::vector<meta::VolumeInfo> others;
    const auto summary = meta::ReadDump(file, meta::VolumesOf(&others));
    if (!summary) {
      report_.problems.push_back(summary.error().message());
      return {};
    }
    if (summary->cluster_uuid != report_.cluster_uuid) return {};
    if (!newest_ || summary->made_seconds > newest_->summary.made_seconds)
      newest_ = Copy{file, *summary};
    for (const meta::VolumeInfo& info : others) {
      if (roots_.contains(info.uuid)) continue;
      // What is not there, or another volume by now, is said when all volumes are opened.
      const auto fd = OpenAt(AT_FDCWD, info.path, O_RDONLY | O_DIRECTORY);
      if (!fd) continue;
      const auto identity = volumes::ReadVolumeIdentity(fd->get(), info.path);
      if (identity && identity->volume_uuid == info.uuid) PXFS_TRY(Add(info.path));
    }
    return {};
  }

  RebuildReport& report_;
  std::map<std::string, std::pair<std::string, std::string>> roots_;
  std::optional<Copy> newest_;
};

// A dump of a store that has the volumes and nothing else.
Status DumpEmptyStore(const Search& search, const RebuildReport& report, const std::string& scratch,
                      const std::string& file) {
  meta::LocalOptions options;
  options.directory = scratch + "/meta";
  options.create = true;
  PXFS_ASSIGN(const auto service, meta::OpenLocalService(options));
  for (const auto& [uuid, volume] : search.roots()) {
    meta::VolumeInfo info;
    info.uuid = uuid;
    info.path = volume.first;
    info.name = volume.second;
    PXFS_TRY(service->AddVolume(info));
  }
  return service->Dump({file, report.cluster_uuid, report.cluster_name});
}

// Brings a store up to what the objects show.
class Reconciliation {
 public:
  Reconciliation(meta::StoreFsck& store, const OpenVolumes& volumes, RebuildReport& report)
      : store_(store), volumes_(volumes), report_(report) {}

  Status Run() {
    PXFS_TRY(store_.ForEachFile([this](const meta::Location& file) { return TakeObject(file); }));
    for (const auto& [id, volume] : volumes_)
      PXFS_TRY(
          volumes::ForEachObject(*volume, [this, &on = *volume](std::span<const ObjectName> names) {
            return TakeUnknown(on, names);
          }));
    return {};
  }

 private:
  // Size, times, owner and mode of the object count: it is as new as the copy, or newer.
  Status TakeObject(const meta::Location& file) {
    std::optional<meta::Location> found;
    for (const meta::Replica& replica : file.replicas) {
      const auto volume = volumes_.find(replica.volume);
      if (volume == volumes_.end() || replica.state != meta::ReplicaState::kCurrent) continue;
      const ObjectName name{file.attr.inode, replica.object_generation};
      const auto object = volume->second->StatObject(name);
      if (!object && !(object.error() == Code::kNotFound)) return Fail(object.error());
      if (!object) continue;
      found = FileOfObject(*volume->second, name, *object);
      break;
    }
    // It was moved since, if it is anywhere.
    const bool moved = !found;
    if (!found) {
      PXFS_ASSIGN(found, FindObject(volumes_, file.attr.inode, {}));
    }
    if (!found) {
      const bool empty = file.attr.size_bytes == 0 && !file.replicas.empty() &&
                         !file.replicas.front().materialized;
      if (!empty) report_.lost.push_back(store_.PathOf(file.attr.inode));
      return {};
    }
    ++report_.files;
    if (!moved && Same(file.attr, found->attr)) return {};
    ++report_.updated;
    return store_.TakeObject(*found, moved);
  }

  static bool Same(const meta::Attr& a, const meta::Attr& b) {
    return a.size_bytes == b.size_bytes && a.uid == b.uid && a.gid == b.gid && a.mode == b.mode &&
           a.mtime == b.mtime;
  }

  Status TakeUnknown(const volumes::Volume& volume, std::span<const ObjectName> names) {
    std::vector<meta::ObjectRef> objects;
    for (const ObjectName& name : names)
      objects.push_back({name.inode, volume.id(), name.generation});
    PXFS_ASSIGN(const auto unknown, store_.Unknown(objects));
    for (const meta::ObjectRef& object : unknown) {
      // Older generations, and further copies, of a file that is there.
      PXFS_ASSIGN(const auto known, store_.FindFile(object.inode));
      if (!known) PXFS_TRY(Adopt(object.inode));
    }
    return {};
  }

  // The newest generation wins.
  Status Adopt(InodeId inode) {
    PXFS_ASSIGN(const auto file, FindObject(volumes_, inode, {}));
    if (!file) return {};
    const meta::Replica& replica = file->replicas.front();
    auto path =
        volumes::ReadOrigin(*volumes_.at(replica.volume), {inode, replica.object_generation});
    if (!path && !(path.error() == Code::kCorruption)) return Fail(path.error());
    if (!path) {
      report_.problems.push_back(path.error().message());
      path = std::string();
    }
    PXFS_ASSIGN(const auto place, store_.Adopt(*file, *path));
    switch (place) {
      case meta::StoreFsck::Place::kPath:
        ++report_.found_by_path;
        break;
      case meta::StoreFsck::Place::kOtherName:
        ++report_.found_by_path;
        ++report_.conflicts;
        break;
      case meta::StoreFsck::Place::kLostAndFound:
        ++report_.lost_and_found;
        break;
    }
    return {};
  }

  meta::StoreFsck& store_;
  const OpenVolumes& volumes_;
  RebuildReport& report_;
};

// The store at `directory`, just loaded.
Status Reconcile(const std::string& directory, const Search& search, RebuildReport& report) {
  PXFS_ASSIGN(const ClusterIdentity identity, ReadIdentity(directory));
  PXFS_ASSIGN(const auto store, meta::StoreFsck::Open(identity.store_directory(), {}));
  // Disks may be mounted elsewhere by now.
  PXFS_ASSIGN(const auto listed, store->ListVolumes());
  for (meta::VolumeInfo info : listed) {
    const auto root = search.roots().find(info.uuid);
    if (root == search.roots().end() || root->second.first == info.path) continue;
    info.path = root->second.first;
    PXFS_TRY(store->SetVolume(info));
  }
  std::vector<meta::Finding> away;
  PXFS_ASSIGN(const OpenVolumes volumes, OpenVolumesOf(*store, identity.uuid, &away));
  for (const meta::Finding& finding : away) report.problems.push_back(finding.what);
  report.volumes = volumes.size();
  PXFS_TRY(store->ForgetUnfinished());
  PXFS_ASSIGN(const InodeId last_object, LastObject(volumes));
  PXFS_TRY(store->Repair(
      [&](InodeId inode, const std::set<VolumeId>& where) {
        return FindObject(volumes, inode, where);
      },
      last_object));
  PXFS_TRY(Reconciliation(*store, volumes, report).Run());
  return store->Sync();
}

}  // namespace

Result<RebuildReport> RebuildCluster(const RebuildOptions& options) {
  RebuildReport report;
  if (options.directory.empty())
    return Fail(Code::kInvalid, "say with --cluster which directory the metadata goes to");
  PXFS_ASSIGN(report.directory, CanonicalPath(options.directory));
  Search search(report);
  for (const std::string& volume : options.volumes) PXFS_TRY(search.Add(volume));
  PXFS_ASSIGN(const ScratchDirectory scratch,
              ScratchDirectory::Make(report.directory + ".rebuild"));
  report.cluster_name = stdfs::path(report.directory).filename();
  std::string file = scratch.path() + "/dump";
  if (search.newest()) {
    file = report.copy = search.newest()->file;
    report.copy_made_seconds = search.newest()->summary.made_seconds;
    report.cluster_name = search.newest()->summary.cluster_name;
  } else {
    PXFS_TRY(DumpEmptyStore(search, report, scratch.path(), file));
  }
  const std::string target = options.dry_run ? scratch.path() + "/cluster" : report.directory;
  PXFS_ASSIGN(const LoadedCluster loaded, LoadCluster(file, target, /*replace=*/true));
  report.replaced = loaded.replaced;
  PXFS_TRY(Reconcile(target, search, report));
  return report;
}

}  // namespace pxfs::cli
