// A cluster of the test's own: directory, volumes, and the formatting of both.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "tests/support/loop_image.h"
#include "tests/support/temporary_directory.h"

namespace pxfs::test {

struct ClusterOptions {
  int volumes = 3;  // named v1, v2, ...
  // True: cluster and volumes lie on one journalled ext4 image, with a directory `native` beside
  // them to compare with. False: they lie in the temporary directory.
  bool ext4_image = false;
  uint64_t image_bytes = 4ull << 30;  // sparse
  // Not 0: each volume lies on a journalled ext4 image of its own, of this size.
  uint64_t volume_image_bytes = 0;
};

class TemporaryCluster {
 public:
  static Result<std::unique_ptr<TemporaryCluster>> Create(const ClusterOptions& options = {});

  const std::string& directory() const {
    return directory_;
  }  // what `mount.pxfs` takes as its source
  const std::vector<std::string>& volumes() const { return volumes_; }  // their roots
  // An empty directory on the same file system as the volumes, without pxfs.
  const std::string& native() const { return native_; }
  // The image that they lie on; null without ext4_image.
  LoopImage* image() { return image_.get(); }
  // The image of one volume, by its place in volumes(); only with volume_image_bytes.
  LoopImage& volume_image(size_t index) { return *volume_images_[index]; }
  // For files of the test that must not lie in the cluster.
  const TemporaryDirectory& scratch() const { return scratch_; }

 private:
  TemporaryCluster() = default;

  TemporaryDirectory scratch_;
  std::unique_ptr<LoopImage> image_;  // after scratch_: unmounted before that is removed
  std::vector<std::unique_ptr<LoopImage>> volume_images_;
  std::string directory_, native_;
  std::vector<std::string> volumes_;
};

}  // namespace pxfs::test
