// MountWatcher: notices that a mount has been taken away from its place. The file system may live
// on then (lazily unmounted, or containers still have it), so the end of requests does not tell.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pxfs::mount_helpers {

class MountWatcher {
 public:
  // Calls `gone` once, from a thread of its own, when the newest mount on `mountpoint` is no longer
  // there. kNotFound: there is none.
  static Result<std::unique_ptr<MountWatcher>> Start(const std::string& mountpoint,
                                                     std::function<void()> gone);
  ~MountWatcher();

 private:
  MountWatcher() = default;
  void Loop();

  int mount_id_ = 0;
  UniqueFd mounts_, stop_;
  std::function<void()> gone_;
  std::thread thread_;
};

}  // namespace pxfs::mount_helpers
