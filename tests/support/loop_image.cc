#include "tests/support/loop_image.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstring>

#include "base/unique_fd.h"
#include "tests/support/process.h"

namespace pxfs::test {

Result<std::unique_ptr<LoopImage>> LoopImage::Create(const std::string& image,
                                                     const std::string& mountpoint,
                                                     uint64_t size_bytes) {
  PXFS_ASSIGN(UniqueFd file, OpenAt(AT_FDCWD, image, O_WRONLY | O_CREAT | O_EXCL, 0600));
  if (::ftruncate(file.get(), static_cast<off_t>(size_bytes)) != 0) return FailErrno(errno, image);
  PXFS_TRY(file.Close());
  PXFS_TRY(MakeDirectories(mountpoint));
  PXFS_TRY(RunOk({"mkfs.ext4", "-q", "-F", "-O", "has_journal", "-m", "0", image}));
  PXFS_TRY(RunOk({"mount", "-t", "ext4", "-o", "loop", image, mountpoint}));
  return std::unique_ptr<LoopImage>(new LoopImage(mountpoint));
}

LoopImage::~LoopImage() {
  if (::umount2(mountpoint_.c_str(), 0) == 0) return;
  ADD_FAILURE() << "cannot unmount " << mountpoint_ << ": " << std::strerror(errno);
  ::umount2(mountpoint_.c_str(), MNT_DETACH);
}

}  // namespace pxfs::test
