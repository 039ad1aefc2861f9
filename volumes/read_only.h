// Whether a file system takes no writes any more.
#pragma once

namespace pxfs::volumes {

// Mounted read-only, or made so by the kernel after it found damage (errors=remount-ro). The latter
// is what fstatvfs(2) does not show on ext4 since Linux 6.15: only mountinfo says it. Blocks for
// reading /proc.
bool IsReadOnly(int fd);

}  // namespace pxfs::volumes
