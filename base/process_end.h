// Whether a process has ended, one that nobody has waited for yet too.
#pragma once

#include <sys/types.h>

namespace pxfs {

// False where it cannot be told. Thread-safe.
bool HasEnded(pid_t pid);

}  // namespace pxfs
