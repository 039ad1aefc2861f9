// The one place where a Code becomes an errno.
#pragma once

#include "base/result.h"

namespace pxfs::fs {

// A positive errno(3) value.
int ToErrno(Code code);

}  // namespace pxfs::fs
