// Method numbers of Service::kJobs; never renumbered.
#pragma once

#include <cstdint>

namespace pxfs::jobs {

enum class Method : uint16_t {
  kSubmit = 1,
  kList = 2,
  kShow = 3,
  kCancel = 4,
  kWait = 5,
  kHold = 6,
  kReadLog = 7,
};

}  // namespace pxfs::jobs
