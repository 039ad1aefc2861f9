#include "cli/tree_files.h"

#include "cli/command.h"

namespace pxfs::cli {
namespace {

using Visit = std::function<Status(InodeId, const std::string&)>;

constexpr uint32_t kPage = 1024;

Status WalkTree(Cluster& cluster, InodeId directory, const std::string& path, const Visit& visit) {
  for (uint64_t cookie = 0;;) {
    PXFS_ASSIGN(const meta::DirPage page,
                cluster.metadata().ReadDirectory(CallerContext(), directory, cookie, kPage,
                                                 /*with_attr=*/false));
    for (const meta::DirEntry& entry : page.entries) {
      cookie = entry.cookie;
      const std::string child = path + "/" + entry.name;
      Status visited;
      if (entry.attr.is_directory()) visited = WalkTree(cluster, entry.attr.inode, child, visit);
      if (entry.attr.is_regular()) visited = visit(entry.attr.inode, child);
      // Removed since it was listed.
      if (!visited && visited.error() != Code::kNotFound) return visited;
    }
    if (page.end || page.entries.empty()) return {};
  }
}

}  // namespace

Status ForEachFile(Cluster& cluster, const std::string& argument, bool recursive,
                   const Visit& visit) {
  PXFS_ASSIGN(const std::string path, NamespaceArgument(cluster, argument));
  PXFS_ASSIGN(const meta::Attr attr, ResolveArgument(cluster, CallerContext(), argument));
  if (attr.is_regular()) return visit(attr.inode, path);
  if (!attr.is_directory())
    return Fail(Code::kInvalid, argument + ": only regular files have objects");
  if (!recursive)
    return Fail(Code::kIsDirectory, argument + ": is a directory; -r means the files in it");
  return WalkTree(cluster, attr.inode, path == "/" ? "" : path, visit);
}

}  // namespace pxfs::cli
