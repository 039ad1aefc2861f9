// A mount namespace for what a test mounts, or hides.
#pragma once

#include "base/result.h"

namespace pxfs::test {

// Puts this process, and what it starts, into a mount namespace of its own, which tells no other of
// its mounts and hears of none. What other tests have mounted is not there: a copy would keep their
// file systems in use after they have unmounted them. Before the process has other threads.
Status EnterPrivateMounts();

}  // namespace pxfs::test
