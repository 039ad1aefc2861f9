#include "volumes/object_walk.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/bytes.h"

namespace pxfs::volumes {
namespace {

namespace stdfs = std::filesystem;
constexpr size_t kBatch = 4096;

// The reverse of ObjectName::RelativePath, of the last part.
std::optional<ObjectName> ParseName(const std::string& name) {
  const size_t dash = name.find('-');
  if (dash == std::string::npos) return std::nullopt;
  const auto inode = FromHex(name.substr(0, dash));
  const auto generation = FromHex(name.substr(dash + 1));
  if (!inode || !generation) return std::nullopt;
  const ObjectName parsed{InodeId(*inode), *generation};
  return parsed.RelativePath().ends_with("/" + name) ? std::optional(parsed) : std::nullopt;
}

}  // namespace

Status ForEachObject(const Volume& volume,
                     const std::function<Status(std::span<const ObjectName>)>& visit) {
  std::vector<ObjectName> objects;
  std::error_code error;
  for (stdfs::recursive_directory_iterator it(volume.root() + "/objects", error), end;
       !error && it != end; it.increment(error)) {
    if (it.depth() == 0) continue;
    // Whatever else somebody put there is not ours.
    const auto name = ParseName(it->path().filename());
    if (!name) continue;
    objects.push_back(*name);
    if (objects.size() < kBatch) continue;
    PXFS_TRY(visit(objects));
    objects.clear();
  }
  // A directory may go while it is read.
  if (error && error != std::errc::no_such_file_or_directory)
    return FailErrno(error.value(), volume.root() + "/objects");
  return objects.empty() ? Status() : visit(objects);
}

Result<std::vector<ObjectName>> ObjectsOf(const Volume& volume, InodeId inode) {
  std::vector<ObjectName> objects;
  const stdfs::path directory =
      stdfs::path(volume.root() + "/" + ObjectName{inode, 0}.RelativePath()).parent_path();
  std::error_code error;
  for (stdfs::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    const auto name = ParseName(it->path().filename());
    if (name && name->inode == inode) objects.push_back(*name);
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return FailErrno(error.value(), directory.string());
  std::sort(objects.begin(), objects.end(),
            [](const ObjectName& a, const ObjectName& b) { return a.generation > b.generation; });
  return objects;
}

}  // namespace pxfs::volumes
