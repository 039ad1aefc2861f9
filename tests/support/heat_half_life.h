// Heat that halves within seconds, as tests shall not take minutes.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/result.h"
#include "tests/support/mounted_cluster.h"
#include "volumes/heat_table.h"

namespace pxfs::test {

// Unmounts, begins the heat table anew with this half-life, and mounts again.
inline Status RestartWithHalfLife(MountedCluster& mounted, uint32_t seconds) {
  PXFS_TRY(mounted.Stop());
  const std::string table = mounted.cluster().directory() + "/run/heat";
  if (::unlink(table.c_str()) != 0) return FailErrno(errno, table);
  PXFS_TRY(volumes::HeatTable::Open(table, {.half_life_seconds = seconds}));
  return mounted.Restart();
}

}  // namespace pxfs::test
