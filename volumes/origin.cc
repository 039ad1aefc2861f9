#include "volumes/origin.h"

#include <fcntl.h>
#include <sys/xattr.h>

#include <cerrno>

#include "base/bytes.h"

namespace pxfs::volumes {

Result<std::string> ReadOrigin(const Volume& volume, ObjectName name) {
  PXFS_ASSIGN(const UniqueFd object, volume.OpenObject(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  std::string value(65536, '\0');
  const ssize_t size = ::fgetxattr(object.get(), OriginXattr(), value.data(), value.size());
  if (size < 0 && (errno == ENODATA || errno == EOPNOTSUPP)) return std::string();
  if (size < 0) return FailErrno(errno, name.RelativePath());
  value.resize(static_cast<size_t>(size));
  const size_t space = value.find(' ');
  const auto inode = FromHex(value.substr(0, space));
  if (space == std::string::npos || !inode || InodeId(*inode) != name.inode)
    return Fail(Code::kCorruption, name.RelativePath() + ": a damaged back-pointer");
  const std::string path = value.substr(space + 1);
  if (!path.empty() && path.front() != '/')
    return Fail(Code::kCorruption, name.RelativePath() + ": a damaged back-pointer");
  return path;
}

}  // namespace pxfs::volumes
