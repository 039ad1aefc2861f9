#include "base/descriptor_limit.h"

#include <sys/resource.h>

#include <cerrno>
#include <cstring>

#include "base/logging.h"

namespace pxfs {

void RaiseDescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0)
    log::warn("raising the limit of open files: {}", std::strerror(errno));
}

size_t DescriptorLimit() {
  constexpr size_t kLeastThatLinuxGives = 1024;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return kLeastThatLinuxGives;
  return limit.rlim_cur;
}

}  // namespace pxfs
