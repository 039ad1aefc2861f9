// Access times of what is not a regular file.
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

}  // namespace pxfs::test
