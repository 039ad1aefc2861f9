#include "cli/ingest/late_work.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace pxfs::cli {
namespace {

std::pair<std::string, std::string> SplitLast(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

Result<meta::Attr> Find(IngestJob& job, const std::string& relative) {
  return job.cluster.metadata().Resolve(job.ctx, job.destination.directory, relative,
                                        /*follow_last=*/false);
}

Status AddLink(IngestJob& job, const LateWork::Link& link) {
  // What is at that name may be another file that was there before.
  if (!job.HasFirstName(link.first))
    return Fail(Code::kNotFound, "that name of the same file was not brought in");
  PXFS_ASSIGN(const meta::Attr first, Find(job, link.first));
  if (link.exists) {
    PXFS_ASSIGN(const meta::Attr there, Find(job, link.relative));
    if (!job.options.resume || there.inode != first.inode)
      return Fail(Code::kExists, "exists already; --resume leaves out what is there and the same");
    ++job.counters.skipped;
    return {};
  }
  const auto [parent, name] = SplitLast(link.relative);
  PXFS_ASSIGN(const meta::Attr directory, Find(job, parent));
  PXFS_TRY(job.cluster.metadata().Link(job.ctx, first.inode, directory.inode, name));
  ++job.counters.links;
  return {};
}

}  // namespace

void AddLinks(IngestJob& job, const std::vector<LateWork::Link>& links) {
  for (const LateWork::Link& link : links) {
    if (job.Stopping()) return;
    const Status added = AddLink(job, link);
    if (added) {
      job.RemoveLater(link.source, link.state);
    } else if (IsFatal(added.error())) {
      job.Abort(added.error());
    } else {
      job.problems.Add(job.destination.FullPath(link.relative) + ": cannot link to " +
                       job.destination.FullPath(link.first) + ": " + added.error().message());
    }
  }
}

void SetDirectoryTimes(IngestJob& job, const std::vector<LateWork::DirectoryTimes>& directories) {
  for (const LateWork::DirectoryTimes& directory : directories) {
    if (job.Stopping()) return;
    const auto attr = Find(job, directory.relative);
    // A directory that could not be made is among the problems already.
    if (!attr && attr.error() == Code::kNotFound) continue;
    meta::AttrChange change;
    change.atime = directory.atime;
    change.mtime = directory.mtime;
    Status set = attr ? Status() : Fail(attr.error());
    if (attr) {
      if (const auto changed = job.cluster.metadata().SetAttr(job.ctx, attr->inode, change);
          !changed)
        set = Fail(changed.error());
    }
    if (!set && IsFatal(set.error())) job.Abort(set.error());
    if (!set)
      job.problems.Add(job.destination.FullPath(directory.relative) +
                       ": set the times: " + set.error().message());
  }
}

Status MakeDurable(IngestJob& job) {
  if (job.counters.skipped != 0) {
    // What was there already may have been brought in by a run that ended before it came to this.
    for (const auto& volume : job.cluster.volumes().All()) PXFS_TRY(volume->Sync());
    return job.cluster.metadata().Sync();
  }
  for (const auto& [id, share] : job.counters.Shares()) {
    PXFS_ASSIGN(const auto volume, job.cluster.volumes().Require(id));
    PXFS_TRY(volume->Sync());
  }
  return job.cluster.metadata().Sync();
}

void RemoveSources(IngestJob& job, const std::vector<std::string>& source_directories) {
  for (const auto& [source, state] : job.TakeToRemove()) {
    struct stat st;
    if (::lstat(source.c_str(), &st) != 0 || !(SourceState::Of(st) == state)) {
      job.problems.Add(source + ": has changed since it was brought in, and is not removed");
      continue;
    }
    if (::unlink(source.c_str()) != 0)
      job.problems.Add(source + ": was brought in, but not removed: " + std::strerror(errno));
  }
  for (auto it = source_directories.rbegin(); it != source_directories.rend(); ++it) {
    // What could not be brought in is still there, and so is its directory.
    if (::rmdir(it->c_str()) != 0 && errno != ENOTEMPTY && errno != EEXIST)
      job.problems.Add(*it + ": not removed: " + std::strerror(errno));
  }
}

}  // namespace pxfs::cli
