// What mount.pxfs is asked to do: its command line, in the form that mount(8) calls helpers with.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace pxfs::mount_helpers {

enum class Passthrough { kAuto, kOn, kOff };

struct MountOptions {
  std::string source;             // as given: shown in /proc/mounts
  std::string mountpoint;         // as given, until ResolvePaths has made it absolute
  std::string cluster_directory;  // absolute, from ResolvePaths
  std::string subdirectory;       // within the namespace; empty: all of it
  unsigned long flags = 0;        // MS_* of mount(2)
  bool remount = false;
  bool foreground = false;
  std::optional<bool> allow_other;  // as given; else what AllowsOthers says
  bool default_permissions = true;
  double attr_timeout_seconds = 3600;
  double entry_timeout_seconds = 3600;
  double negative_timeout_seconds = 3600;
  double lock_wait_seconds = 30;
  size_t max_inodes = 0;  // kept in memory by the service that this mount hosts; 0: the default
  double hot_cool_down_seconds = 600;
  bool root_squash = false;
  std::optional<uint32_t> anonymous_uid, anonymous_gid;  // only with root_squash
  size_t max_open = 1 << 20;                             // inodes that are open at once
  Passthrough passthrough = Passthrough::kAuto;
  std::string log_file;  // empty: CLUSTER/log/
  std::string log_level = "info";
};

extern const char kUsage[];

// kInvalid names the argument or option that is wrong.
Result<MountOptions> ParseArguments(const std::vector<std::string>& arguments);

// Users other than the one who mounts may use the mount: unless told otherwise, where root mounts.
bool AllowsOthers(const MountOptions& options);

// The words after -o of fusermount3 for the mount. kNotPermitted: an option that only root has, by
// its name.
Result<std::string> FusermountOptions(const MountOptions& options);

// Fills in the absolute paths. Only before mounting: looking at a mount point blocks while its
// daemon is being succeeded. kNotFound and the like name the path.
Status ResolvePaths(MountOptions& options);

}  // namespace pxfs::mount_helpers
