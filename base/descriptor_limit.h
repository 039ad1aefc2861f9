// How many descriptors this process may have, and how they are shared out among those of its parts
// that could use up all: what is left is the store's, the volumes' and the rest's.
#pragma once

#include <cstddef>

namespace pxfs {

// Raises the limit to the most that this user may have. A failure is logged.
void RaiseDescriptorLimit();
// The limit as it is now (RLIMIT_NOFILE).
size_t DescriptorLimit();

// Of the limit: descriptors of objects, for files that are open, and connections of a server.
inline size_t ObjectDescriptors() { return DescriptorLimit() / 2; }
inline size_t ConnectionDescriptors() { return DescriptorLimit() / 4; }

}  // namespace pxfs
