#include "cli/ingest/existing.h"

#include <fcntl.h>

#include "cli/ingest/source.h"
#include "volumes/copy.h"

namespace pxfs::cli {
namespace {

constexpr uint32_t kPage = 1024;

Result<Hash128> ChecksumOf(IngestJob& job, int fd) {
  return volumes::ChecksumFile(fd, [&job](uint64_t) { return !job.Stopping(); });
}

// With --verify: the content of the source and of the object are the same, and so is the checksum
// on record.
Result<bool> SameContent(IngestJob& job, const std::string& source, const volumes::Volume& volume,
                         volumes::ObjectName name, const meta::Replica& replica) {
  PXFS_ASSIGN(const SourceFile file, OpenSource(source, ""));
  PXFS_ASSIGN(const Hash128 wanted, ChecksumOf(job, file.fd.get()));
  if (replica.checksum && !(*replica.checksum == wanted)) return false;
  PXFS_ASSIGN(const UniqueFd object, volume.OpenObject(name, O_RDONLY | O_NOATIME));
  PXFS_ASSIGN(const Hash128 found, ChecksumOf(job, object.get()));
  return found == wanted;
}

// An object that power loss took, or cut short, is not there: then the file has to be brought in
// again by hand.
Result<bool> ObjectIsWhole(IngestJob& job, const std::string& source, const meta::Attr& attr) {
  PXFS_ASSIGN(const meta::Location location, job.cluster.metadata().Locate(job.ctx, attr.inode));
  if (location.replicas.empty()) return false;
  const meta::Replica& primary = location.replicas.front();
  PXFS_ASSIGN(const auto volume, job.cluster.volumes().Require(primary.volume));
  const volumes::ObjectName name{attr.inode, primary.object_generation};
  const auto st = volume->StatObject(name);
  if (!st && st.error() == Code::kNotFound) return attr.size_bytes == 0 && !primary.materialized;
  if (!st) return Fail(st.error());
  if (static_cast<uint64_t>(st->st_size) != attr.size_bytes) return false;
  if (!job.options.verify) return true;
  return SameContent(job, source, *volume, name, primary);
}

}  // namespace

Status ListDirectory(IngestJob& job, InodeId directory, Listing& listing) {
  uint64_t cookie = 0;
  for (;;) {
    PXFS_ASSIGN(meta::DirPage page, job.cluster.metadata().ReadDirectory(
                                        job.ctx, directory, cookie, kPage, /*with_attr=*/true));
    for (meta::DirEntry& entry : page.entries) {
      cookie = entry.cookie;
      listing.emplace(std::move(entry.name), entry.attr);
    }
    if (page.end || page.entries.empty()) return {};
  }
}

Result<bool> IsSame(IngestJob& job, const std::string& source, const struct stat& st,
                    const meta::Attr& attr) {
  if ((st.st_mode & S_IFMT) != (attr.mode & S_IFMT)) return false;
  switch (st.st_mode & S_IFMT) {
    case S_IFREG: {
      if (static_cast<uint64_t>(st.st_size) != attr.size_bytes ||
          volumes::ToTimestamp(st.st_mtim) != attr.mtime)
        return false;
      return ObjectIsWhole(job, source, attr);
    }
    case S_IFLNK: {
      PXFS_ASSIGN(const meta::TreeNode node, ReadNode(source, st, ""));
      PXFS_ASSIGN(const std::string target, job.cluster.metadata().ReadLink(job.ctx, attr.inode));
      return target == node.symlink_target;
    }
    case S_IFCHR:
    case S_IFBLK:
      return st.st_rdev == attr.rdev;
    default:
      return true;
  }
}

}  // namespace pxfs::cli
