// Images: what becomes the read-only root of a container.
//   host                     the node's own root, without other file systems that are mounted in
//   it, except below /usr and /opt /DIR                     a directory that holds a root file
//   system oci:DIR[:TAG]            an OCI layout, oci-archive:FILE[:TAG] an archive of one;
//   unpacked once per node with umoci
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "jobs/bundle.h"
#include "rpc/jobs.pb.h"

namespace pxfs::jobs {

struct Image {
  std::string directory;               // the root, reachable while `held` is open
  std::vector<ContainerMount> mounts;  // over the root, before all others
  std::vector<std::string> env;        // as the image itself says
  std::string workdir;
  UniqueFd held;
};

class ImageStore {
 public:
  explicit ImageStore(std::string directory) : directory_(std::move(directory)) {}

  // Whether there is such an image and it looks usable; what can be said at once, without
  // unpacking. kNotFound, kAccess, kInvalid (no root file system, unknown kind).
  static Status Check(const std::string& image, const proto::User& user);
  // As Check, and makes it ready; blocks while it is unpacked, by whoever came first.
  Result<Image> Prepare(const std::string& image, const proto::User& user);

 private:
  Result<std::string> Unpack(const std::string& image, const proto::User& user);

  const std::string directory_;
  std::mutex mutex_;  // one unpacking at a time; held across it, so that no image is unpacked twice
};

}  // namespace pxfs::jobs
