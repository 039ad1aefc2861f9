// The real `pxfs` program on a cluster that is mounted.
#pragma once

#include <sys/xattr.h>

#include "tests/cli/cli_fixture.h"
#include "tests/support/mounted_cluster.h"

namespace pxfs::test {

class MountedCliTest : public CliTest {
 protected:
  void FormatAndMount(int volumes = 2) {
    Format(volumes);
    MountCluster();
  }
  void MountCluster(const std::string& options = "") {
    auto mounted = Mount::Start(cluster_, mnt_, options);
    ASSERT_TRUE(mounted) << mounted.error().message();
    mount_ = std::move(*mounted);
  }
  void Unmount() {
    ASSERT_TRUE(mount_);
    const Status stopped = mount_->Stop();
    mount_.reset();
    ASSERT_TRUE(stopped) << stopped.error().message();
  }

  // The value of an extended attribute; an errno as "errno N" where there is none.
  static std::string Xattr(const std::string& path, const std::string& name) {
    char value[65536];
    const ssize_t n = ::lgetxattr(path.c_str(), name.c_str(), value, sizeof value);
    return n < 0 ? "errno " + std::to_string(errno) : std::string(value, static_cast<size_t>(n));
  }
  static std::string ReadText(const std::string& path) {
    const auto text = ReadFile(path);
    return text ? *text : "cannot be read: " + text.error().message();
  }

  const std::string mnt_ = scratch_ / "mnt";
  std::unique_ptr<Mount> mount_;
};

}  // namespace pxfs::test
