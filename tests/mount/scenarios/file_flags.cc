// Flags of files, as lsattr(1) and chattr(1) ask for and set them.
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "tests/mount/scenario.h"

namespace pxfs::test {

PXFS_SCENARIO(FileFlags) {
  p.Make("f", "x");
  p.Mkdir("d");
  for (const char* name : {"f", "d"}) {
    const int fd = p.Open(name, O_RDONLY);
    int flags = 0;
    p.Do("FS_IOC_GETFLAGS", [&] { return ::ioctl(fd, FS_IOC_GETFLAGS, &flags); });
    flags |= FS_NODUMP_FL;
    p.Do("FS_IOC_SETFLAGS", [&] { return ::ioctl(fd, FS_IOC_SETFLAGS, &flags); });
    fsxattr attributes{};
    p.Do("FS_IOC_FSGETXATTR", [&] { return ::ioctl(fd, FS_IOC_FSGETXATTR, &attributes); });
    p.Close(fd);
  }
}

}  // namespace pxfs::test
