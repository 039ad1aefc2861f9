#include "volumes/extents.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace pxfs::volumes {

Status ForEachExtent(int fd, uint64_t size, const std::function<Status(const Extent&)>& visit) {
  uint64_t position = 0;
  while (position < size) {
    const off_t found = ::lseek(fd, static_cast<off_t>(position), SEEK_DATA);
    if (found < 0 && errno == ENXIO) return visit({position, size - position, true});
    if (found < 0) {
      if (errno == EINVAL || errno == EOPNOTSUPP) return visit({position, size - position, false});
      return FailErrno(errno, "seek to data");
    }
    const uint64_t data = std::min(static_cast<uint64_t>(found), size);
    if (data > position) PXFS_TRY(visit({position, data - position, true}));
    if (data == size) break;
    const off_t end = ::lseek(fd, static_cast<off_t>(data), SEEK_HOLE);
    if (end < 0 && errno != ENXIO) return FailErrno(errno, "seek to hole");
    position = end < 0 ? size : std::min(static_cast<uint64_t>(end), size);
    PXFS_TRY(visit({data, position - data, false}));
  }
  return {};
}

}  // namespace pxfs::volumes
