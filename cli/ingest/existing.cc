#include "cli/ingest/existing.h"

#include "cli/ingest/source.h"

namespace pxfs::cli {
namespace {

constexpr uint32_t kPage = 1024;

// An object that power loss took, or cut short, is not there: then the file has to be brought in
// again by hand.
Result<bool> ObjectIsWhole(IngestJob& job, const meta::Attr& attr) {
  PXFS_ASSIGN(const meta::Location location, job.cluster.metadata().Locate(job.ctx, attr.inode));
  if (location.replicas.empty()) return false;
  const meta::Replica& primary = location.replicas.front();
  PXFS_ASSIGN(const auto volume, job.cluster.volumes().Require(primary.volume));
  const auto st = volume->StatObject({attr.inode, primary.object_generation});
  if (!st && st.error() == Code::kNotFound) return attr.size_bytes == 0 && !primary.materialized;
  if (!st) return Fail(st.error());
  return static_cast<uint64_t>(st->st_size) == attr.size_bytes;
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
      return ObjectIsWhole(job, attr);
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
