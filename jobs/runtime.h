// OciRuntime: runc or crun, with conmon as each container's monitor.
//
// conmon holds the container's output and writes its exit status to a file, so a container outlives
// the service and the next one finds how it ended. The runtime's `create` runs in a mount namespace
// of its own, where the container's root is put together; that namespace ends with `create`, so the
// node's mount table never shows any of it, whatever crashes.
//
// Everything lies below a run directory: <runtime>/ (the runtime's state), exits/<id>. Thread-safe.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace pxfs::jobs {

// A directory or file of the node for the container to mount (BindSource, or its image). It is
// found by its path, and no container is made unless that leads to what `held` refers to: a mount
// namespace cannot bind what a descriptor from another one refers to.
struct HeldBind {
  std::string path;
  std::string held;  // /proc/PID/fd/N
};

struct CreateContainer {
  std::string id;
  std::string bundle;  // holds config.json; rootfs and scratch are made in it
  HeldBind image;      // a directory: the lower, read-only layer of the root
  std::string log_file;
  std::vector<HeldBind> binds = {};
};

// What the container's mount of the bind with this index has as its source.
std::string BindSource(const std::string& bundle, size_t index);

// The processes of a created container.
struct ContainerProcesses {
  pid_t monitor = 0;  // conmon; ends once the exit status is written
  pid_t init = 0;
};

class OciRuntime {
 public:
  // Takes the first of crun and runc that can run a container here, which is tried. kNotSupported
  // says why none can.
  static Result<OciRuntime> Choose(const std::string& run_directory);

  // The container that Choose tries; a process that is killed meanwhile leaves it.
  static std::string ProbeId(const std::string& run_directory);

  const std::string& name() const { return name_; }
  // The container exists, but its program does not run yet. The error is the runtime's own words.
  Result<ContainerProcesses> Create(const CreateContainer& request) const;
  // Also succeeds when the program runs already, or has run.
  Status Start(const std::string& id) const;
  // How it ended; absent while it runs, or when that was never written.
  std::optional<int> ExitStatus(const std::string& id) const;
  // Kills it if it runs, and removes all that the runtime and conmon keep of it. No error if there
  // is nothing.
  Status Delete(const std::string& id) const;

  // Containers that any runtime knows below `run_directory`.
  static std::vector<std::string> List(const std::string& run_directory);
  // As Delete, by whichever runtime made it.
  static Status DeleteAny(const std::string& run_directory, const std::string& id);

 private:
  OciRuntime(std::string name, std::string run_directory);

  // The words in front of a runtime's command.
  std::vector<std::string> CommandPrefix() const;
  Status Try() const;
  // "created", "running", "stopped"...
  Result<std::string> State(const std::string& id) const;
  Status RunToEnd(const CreateContainer& request) const;

  std::string name_;
  std::string program_;
  std::string run_directory_;
};

}  // namespace pxfs::jobs
