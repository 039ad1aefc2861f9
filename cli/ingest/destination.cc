#include "cli/ingest/destination.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "cli/command.h"
#include "cli/paths.h"

namespace pxfs::cli {
namespace {

std::string WithoutTrailingSlashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

// The name that a source gets; empty for "DIR/." and the like, which mean what is in the directory.
std::string NameOf(const std::string& source) {
  const std::string name = source.substr(source.rfind('/') + 1);
  return name == "." || name == ".." ? "" : name;
}

bool IsDirectory(const std::string& source) {
  struct stat st;
  return ::lstat(source.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

bool WasMadeOf(const std::vector<MadeDirectory>& history, const std::string& path, InodeId inode,
               const std::string& source) {
  const auto canonical = CanonicalPath(source);
  return canonical && std::any_of(history.begin(), history.end(), [&](const MadeDirectory& made) {
           return made.path == path && made.source == *canonical &&
                  (!made.inode || made.inode == inode);
         });
}

Status CheckSource(const Cluster& cluster, const std::string& source,
                   const std::string& destination) {
  struct stat st;
  if (::lstat(source.c_str(), &st) != 0) return FailErrno(errno, source);
  if (!S_ISDIR(st.st_mode)) return {};
  PXFS_ASSIGN(const std::string canonical, CanonicalPath(source));
  if (MountedClusterAt(canonical) != cluster.identity().directory) return {};
  PXFS_ASSIGN(const std::string inside, NamespacePath(canonical));
  if (IsWithin(destination, inside))
    return Fail(Code::kInvalid,
                source + ": contains the destination; a directory cannot go into itself");
  return {};
}

}  // namespace

Result<Destinations> FindDestinations(Cluster& cluster, const meta::CallContext& ctx,
                                      const IngestOptions& options,
                                      const std::vector<MadeDirectory>& history) {
  PXFS_ASSIGN(std::string path, NamespaceArgument(cluster, options.destination));
  path = WithoutTrailingSlashes(path);
  meta::MetadataService& metadata = cluster.metadata();
  Destinations result;
  std::string made;  // the name of DEST where it has to be made
  auto attr = metadata.Resolve(ctx, kRootInode, path, /*follow_last=*/true);
  const bool single_file = options.sources.size() == 1 && !IsDirectory(options.sources.front());
  if (attr && !attr->is_directory() && !single_file)
    return Fail(Code::kExists, options.destination + ": exists already and is no directory");
  if (!attr && attr.error() != Code::kNotFound)
    return Fail(attr.error().code(),
                options.destination + ": " + std::string(Describe(attr.error().code())));
  // The file that DEST is, or the directory that an earlier run has made of the source, to be gone
  // on with.
  const bool itself = attr && (!attr->is_directory() ||
                               (options.resume && options.sources.size() == 1 &&
                                WasMadeOf(history, path, attr->inode, options.sources.front())));
  if (!attr || itself) {
    const size_t slash = path.rfind('/');
    made = path.substr(slash + 1);
    path = slash == 0 ? "/" : path.substr(0, slash);
    attr = metadata.Resolve(ctx, kRootInode, path, /*follow_last=*/true);
    if (!attr || !attr->is_directory())
      return Fail(Code::kNotFound,
                  options.destination + ": there is no directory " + path + " to make it in");
  }
  result.base = {attr->inode, path == "/" ? "" : path};

  const std::string whole = made.empty() ? path : (path == "/" ? "" : path) + "/" + made;
  std::set<std::string> names;
  for (const std::string& argument : options.sources) {
    const std::string source = WithoutTrailingSlashes(argument);
    PXFS_TRY(CheckSource(cluster, source, whole));
    const std::string name = NameOf(source);
    std::string relative = made.empty()                  ? name
                           : options.sources.size() == 1 ? made
                           : name.empty()                ? made
                                                         : made + "/" + name;
    if (!name.empty() && !names.insert(relative).second)
      return Fail(Code::kExists, source + ": another source has the same name '" + name +
                                     "'; ingest them one by one");
    result.roots.push_back({source, std::move(relative)});
  }
  if (!made.empty() && options.sources.size() > 1) result.directory_to_make = made;
  if (!made.empty() && options.sources.size() == 1 && IsDirectory(options.sources.front()))
    result.made_of_source = whole;
  return result;
}

}  // namespace pxfs::cli
