// Which size of itself a test runs in.
#pragma once

#include <cstdlib>
#include <string_view>

namespace pxfs::test {

// Whether more rounds and larger sizes are asked for: ./runtests --long, which sets PXFS_LONG=1. It
// is PXFS_LONG=0 otherwise.
inline bool LongRun() {
  const char* value = std::getenv("PXFS_LONG");
  return value && std::string_view(value) == "1";
}

}  // namespace pxfs::test
