// The OCI bundle of one container: config.json from what pxfs wants of it. Everything about the
// format of OCI runtimes is here and in jobs/runtime.cc.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "rpc/jobs.pb.h"

namespace pxfs::jobs {

struct ContainerMount {
  std::string destination;
  std::string type;  // "bind", "tmpfs", "overlay"...
  std::string source;
  std::vector<std::string> options;
};

// Read-only or writable bind of a directory or file, without suid and devices.
ContainerMount BindMount(std::string source, std::string destination, bool read_only);
// Directories stacked, the first on top; read-only.
ContainerMount OverlayMount(const std::vector<std::string>& layers, std::string destination);

struct Container {
  std::vector<std::string> command;
  std::vector<std::string> env;  // "K=V"; later ones win
  std::string workdir = "/";
  std::string hostname;
  proto::User user;
  double cpus = 1;
  uint64_t memory_bytes = 0;  // 0: no limit
  uint64_t tmp_bytes = 0;
  bool host_network = false;
  std::string cgroup_path;
  std::vector<ContainerMount> mounts;  // over the basic ones, in this order
};

// `rootfs`: relative to the bundle's directory.
nlohmann::json OciConfig(const Container& container, const std::string& rootfs);

}  // namespace pxfs::jobs
