#include "tests/support/loop_image.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/unique_fd.h"
#include "tests/support/mount_table.h"
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
  return std::unique_ptr<LoopImage>(new LoopImage(image, mountpoint));
}

Status LoopImage::CutPower() {
  PXFS_ASSIGN(const UniqueFd fd, OpenAt(AT_FDCWD, mountpoint_, O_RDONLY | O_DIRECTORY));
  // EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH, which no header of user space has.
  uint32_t no_log_flush = 2;
  if (::ioctl(fd.get(), _IOR('X', 125, uint32_t), &no_log_flush) != 0)
    return FailErrno(errno, "shut down " + mountpoint_);
  return {};
}

Status LoopImage::BecomeReadOnly() {
  PXFS_TRY(RunOk({"mount", "-o", "remount,errors=remount-ro", mountpoint_}));
  const std::string device = MountAt(mountpoint_).source;
  const std::string trigger =
      "/sys/fs/ext4/" + device.substr(device.rfind('/') + 1) + "/trigger_fs_error";
  PXFS_ASSIGN(const UniqueFd fd, OpenAt(AT_FDCWD, trigger, O_WRONLY));
  return WriteAll(fd.get(), "1");
}

Status LoopImage::Remount() {
  // The kernel lets go of the files of a FUSE mount that has ended some time afterwards.
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (::umount2(mountpoint_.c_str(), 0) != 0) {
    if (errno != EBUSY || std::chrono::steady_clock::now() > limit)
      return FailErrno(errno, "unmount " + mountpoint_);
    std::this_thread::yield();
  }
  return RunOk({"mount", "-t", "ext4", "-o", "loop", image_, mountpoint_});
}

LoopImage::~LoopImage() {
  if (::umount2(mountpoint_.c_str(), 0) == 0) return;
  ADD_FAILURE() << "cannot unmount " << mountpoint_ << ": " << std::strerror(errno);
  ::umount2(mountpoint_.c_str(), MNT_DETACH);
}

}  // namespace pxfs::test
