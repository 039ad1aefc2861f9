// Access times. compare_test compares them on mounts as they are by default, access_time_test on
// mounts with each of the options that rule them.
#include "tests/mount/scenario.h"

namespace pxfs::test {

PXFS_SCENARIO(AccessTimeOfADirectory) {
  p.Mkdir("d");
  p.Make("d/f", "x");
  p.Utimens("d", {1000, 0}, {2000, 0});
  p.Times("d", "a");
  p.Tick();
  p.List("d");
  p.Times("d", "a");
  p.Tick();
  p.List("d");
  p.Times("d", "a");
}

PXFS_SCENARIO(AccessTimeOfASymlink) {
  p.Symlink("t", "s");
  p.Utimens("s", {1000, 0}, {2000, 0}, AT_SYMLINK_NOFOLLOW);
  p.Times("s", "a");
  p.Tick();
  p.Readlink("s");
  p.Times("s", "a");
}

PXFS_SCENARIO(AccessTimeOfAFile) {
  p.Make("f", "content");
  p.Utimens("f", {1000, 0}, {2000, 0});
  p.Times("f", "a");
  p.Tick();
  p.Content("f");
  p.Times("f", "amc");
  p.Tick();
  p.Content("f");
  p.Times("f", "amc");
  const int fd = p.Open("f", O_RDWR);
  p.Tick();
  p.Read(fd, 7);
  p.Times("f", "a");
  p.Close(fd);
}

// Where nothing but the access time says that it was read.
PXFS_SCENARIO(AccessTimeLeavesTheOthers) {
  p.Mkdir("d");
  p.Make("d/f", "x");
  p.Symlink("t", "d/s");
  p.Tick();
  p.List("d");
  p.Times("d", "mc");
  p.Readlink("d/s");
  p.Times("d/s", "mc");
}

// A name that comes or goes is a change of the directory: the next listing moves it again.
PXFS_SCENARIO(AccessTimeOfADirectoryThatChanges) {
  p.Mkdir("d");
  for (const char* name : {"d/1", "d/2", "d/3"}) {
    p.Make(name, "x");
    p.Tick();
    p.List("d");
    p.Times("d", "a");
  }
  p.Unlink("d/2");
  p.Tick();
  p.List("d");
  p.Times("d", "amc");
}

}  // namespace pxfs::test
