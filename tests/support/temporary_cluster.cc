#include "tests/support/temporary_cluster.h"

#include "base/unique_fd.h"
#include "tests/support/process.h"

namespace pxfs::test {

Result<std::unique_ptr<TemporaryCluster>> TemporaryCluster::Create(const ClusterOptions& options) {
  std::unique_ptr<TemporaryCluster> cluster(new TemporaryCluster());
  std::string base = cluster->scratch_.path();
  if (options.ext4_image) {
    PXFS_ASSIGN(cluster->image_,
                LoopImage::Create(base + "/disk.img", base + "/disk", options.image_bytes));
    base += "/disk";
  }
  cluster->directory_ = base + "/cluster";
  cluster->native_ = base + "/native";
  PXFS_TRY(MakeDirectories(cluster->native_));
  Argv format = {Program("pxfs"), "format", cluster->directory_};
  for (int i = 1; i <= options.volumes; ++i) {
    const std::string name = "/volume" + std::to_string(i);
    cluster->volumes_.push_back(base + name);
    if (options.volume_image_bytes != 0) {
      const std::string disk = cluster->scratch_.path() + name;
      PXFS_ASSIGN(auto image,
                  LoopImage::Create(disk + ".img", disk + ".disk", options.volume_image_bytes));
      cluster->volume_images_.push_back(std::move(image));
      cluster->volumes_.back() = disk + ".disk/volume";
    }
    format.push_back("--volume");
    format.push_back(cluster->volumes_.back() + ",name=v" + std::to_string(i));
  }
  PXFS_TRY(RunOk(format));
  return cluster;
}

}  // namespace pxfs::test
