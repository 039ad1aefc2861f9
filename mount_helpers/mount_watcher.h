// MountWatcher: notices that a mount has been taken away from its place, or got other options. The
// file system may live on then (lazily unmounted, or containers still have it), so the end of
// requests does not tell; and a FUSE file system is not told of a remount.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/poll_thread.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace pxfs::mount_helpers {

// The options of the newest mount on `mountpoint`; kNotFound: there is none.
Result<std::string> OptionsOfMount(const std::string& mountpoint);

// Processes of other mount namespaces that have the file system with this device number mounted,
// one of each namespace: "1234 (bash), 1300 (sleep)".
std::string WhoElseHasMounted(const std::string& device);

class MountWatcher {
 public:
  // Calls `options`, from a thread of its own, with the options of the newest mount on `mountpoint`
  // as it finds them ("rw,relatime"), then whenever they have changed; and `gone` once, when the
  // mount is no longer there, with the device number of its file system ("0:53"). kNotFound: there
  // is none.
  static Result<std::unique_ptr<MountWatcher>> Start(
      const std::string& mountpoint, std::function<void(const std::string&)> options,
      std::function<void(const std::string&)> gone);

 private:
  MountWatcher() = default;

  UniqueFd mounts_;
  std::unique_ptr<PollThread> thread_;
};

}  // namespace pxfs::mount_helpers
