// The data and the holes of a file, in order.
#pragma once

#include <cstdint>
#include <functional>

#include "base/result.h"

namespace pxfs::volumes {

struct Extent {
  uint64_t offset = 0;
  uint64_t size = 0;
  bool hole = false;
};

// Calls `visit` for each extent of [0, size). A file system that knows no holes shows one extent of
// data. Moves the file offset of `fd`. Stops with the first error.
Status ForEachExtent(int fd, uint64_t size, const std::function<Status(const Extent&)>& visit);

}  // namespace pxfs::volumes
