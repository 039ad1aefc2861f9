// What scenarios of data have in common.
#pragma once

#include <string>

#include "tests/mount/scenario.h"

namespace pxfs::test {

// Bytes that show where they came from.
std::string Pattern(size_t size, unsigned seed);
void Fallocate(Probe& p, int fd, int mode, off_t offset, off_t length);
// Where data and holes begin, from the start to the end of the file.
void Extents(Probe& p, int fd);

}  // namespace pxfs::test
