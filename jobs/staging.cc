#include "jobs/staging.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>

namespace pxfs::jobs {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kJobPrefix = "job-";

std::string JobStaging(uint64_t job) {
  return "staging/" + std::string(kJobPrefix) + std::to_string(job);
}

Status RemoveTree(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return FailErrno(error.value(), path);
  return {};
}

}  // namespace

std::string StagingPath(TaskKey key) {
  return JobStaging(key.job) + "/" + std::to_string(key.task) + "/out";
}

Result<std::string> MakeStaging(const volumes::Volume& volume, TaskKey key,
                                const proto::User& user) {
  const std::string out = StagingPath(key);
  const std::string task = out.substr(0, out.rfind('/'));
  PXFS_TRY(RemoveTree(volume.root() + "/" + task));
  // Relative to the volume's descriptor: never in the place where a volume that is gone was
  // mounted.
  for (const std::string& directory : {JobStaging(key.job), task, out}) {
    if (::mkdirat(volume.root_fd(), directory.c_str(), 0700) != 0 && errno != EEXIST) {
      return FailErrno(errno, volume.root() + "/" + directory);
    }
  }
  if (::fchownat(volume.root_fd(), out.c_str(), user.uid(), user.gid(), 0) != 0 ||
      ::fchmodat(volume.root_fd(), out.c_str(), 0755, 0) != 0) {
    return FailErrno(errno, volume.root() + "/" + out);
  }
  return volume.root() + "/" + out;
}

Status RemoveStaging(const volumes::VolumeSet& volumes, uint64_t job) {
  for (const auto& volume : volumes.All()) {
    PXFS_TRY(RemoveTree(volume->root() + "/" + JobStaging(job)));
  }
  return {};
}

std::set<uint64_t> ListStaging(const volumes::VolumeSet& volumes) {
  std::set<uint64_t> jobs;
  for (const auto& volume : volumes.All()) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(volume->root() + "/staging", error)) {
      const std::string name = entry.path().filename();
      if (!name.starts_with(kJobPrefix)) continue;
      const char* digits = name.data() + kJobPrefix.size();
      uint64_t job = 0;
      const auto [end, failure] = std::from_chars(digits, name.data() + name.size(), job);
      if (failure == std::errc() && end == name.data() + name.size()) jobs.insert(job);
    }
  }
  return jobs;
}

}  // namespace pxfs::jobs
