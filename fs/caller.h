// Who called, as far as a request does not say it.
#pragma once

#include <fuse3/fuse_lowlevel.h>

#include <cstdint>
#include <vector>

namespace pxfs::fs {

struct Caller {
  std::vector<uint32_t> groups;  // its own and the supplementary ones
  // Has CAP_FSETID, CAP_FOWNER towards this file system.
  bool may_set_id = false, owns_all = false;

  bool InGroup(uint32_t group) const;

  // Of a request that is not answered yet, so that its caller waits. Reads /proc: for what seldom
  // happens. A caller that cannot be seen (another PID namespace) has no more than the request
  // says; if that is root, it has the capabilities.
  static Caller Find(const fuse_ctx& request);
};

}  // namespace pxfs::fs
