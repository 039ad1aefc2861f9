#include "volumes/read_only.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include <fstream>
#include <sstream>
#include <string>

namespace pxfs::volumes {
namespace {

// The options of the file system with this device number, as proc(5) describes the last field.
std::string FileSystemOptions(dev_t device) {
  const std::string wanted = std::to_string(major(device)) + ":" + std::to_string(minor(device));
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string id, parent, number;
    if (fields >> id >> parent >> number && number == wanted)
      return line.substr(line.rfind(' ') + 1);
  }
  return {};
}

}  // namespace

bool IsReadOnly(int fd) {
  struct statvfs space;
  if (::fstatvfs(fd, &space) == 0 && (space.f_flag & ST_RDONLY)) return true;
  struct statfs kind;
  struct stat st;
  if (::fstatfs(fd, &kind) != 0 || kind.f_type != EXT4_SUPER_MAGIC || ::fstat(fd, &st) != 0)
    return false;
  return ("," + FileSystemOptions(st.st_dev) + ",").find(",emergency_ro,") != std::string::npos;
}

}  // namespace pxfs::volumes
