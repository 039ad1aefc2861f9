// Descriptors sent from one process to another over a Unix socket (SCM_RIGHTS).
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

namespace pxfs {

// Sends one descriptor with one byte. Blocks while the socket is full.
Status SendDescriptor(int socket, int fd);
// Blocks until one comes, with O_CLOEXEC. kUnavailable: the other end is closed, or sent none.
Result<UniqueFd> ReceiveDescriptor(int socket);

}  // namespace pxfs
