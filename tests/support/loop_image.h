// A journalled ext4 of the test's own, on a loop device: like a user's disk, whatever the machine's
// own disk is.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"

namespace pxfs::test {

class LoopImage {
 public:
  // Makes an image of `size_bytes` (sparse) at `image` and mounts it at `mountpoint`; both are
  // created.
  static Result<std::unique_ptr<LoopImage>> Create(const std::string& image,
                                                   const std::string& mountpoint,
                                                   uint64_t size_bytes);
  // Unmounts, which frees the loop device. A failure to do so fails the test.
  ~LoopImage();
  LoopImage(const LoopImage&) = delete;
  LoopImage& operator=(const LoopImage&) = delete;

  // Loss of power: whatever was not synced never reaches the disk, and nothing can be read or
  // written any more. Then Remount, when nothing uses the mount, shows what is left.
  Status CutPower();
  Status Remount();

  // As after damage that the file system has found, with errors=remount-ro: what is written fails
  // with EROFS until Remount.
  Status BecomeReadOnly();

  const std::string& path() const { return mountpoint_; }

 private:
  LoopImage(std::string image, std::string mountpoint)
      : image_(std::move(image)), mountpoint_(std::move(mountpoint)) {}

  const std::string image_;
  std::string mountpoint_;
};

}  // namespace pxfs::test
