#include "fs/caller.h"

#include <linux/capability.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

namespace pxfs::fs {
namespace {

// Capabilities count only in the user namespace that the file system is mounted in.
bool InOurUserNamespace(const std::string& process) {
  struct stat theirs, ours;
  return ::stat((process + "/ns/user").c_str(), &theirs) == 0 &&
         ::stat("/proc/self/ns/user", &ours) == 0 && theirs.st_dev == ours.st_dev &&
         theirs.st_ino == ours.st_ino;
}

}  // namespace

bool Caller::InGroup(uint32_t group) const {
  return std::find(groups.begin(), groups.end(), group) != groups.end();
}

Caller Caller::Find(const fuse_ctx& request) {
  Caller caller;
  caller.groups.push_back(request.gid);
  caller.may_set_id = caller.owns_all = request.uid == 0;
  if (request.pid <= 0) return caller;
  const std::string process = "/proc/" + std::to_string(request.pid);
  std::ifstream status(process + "/status");
  for (std::string line; std::getline(status, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    if (name == "Groups:") {
      for (uint32_t group; words >> group;) caller.groups.push_back(group);
    } else if (name == "CapEff:") {
      uint64_t effective = 0;
      words >> std::hex >> effective;
      if (!InOurUserNamespace(process)) effective = 0;
      caller.may_set_id = (effective >> CAP_FSETID & 1) != 0;
      caller.owns_all = (effective >> CAP_FOWNER & 1) != 0;
    }
  }
  return caller;
}

}  // namespace pxfs::fs
