// statx(2): the time of birth, and what the mask says is there.
#include "tests/mount/scenario.h"

namespace pxfs::test {

PXFS_SCENARIO(BirthTime) {
  p.Make("f", "x");
  p.Mkdir("d");
  p.Symlink("f", "s");
  p.Mknod("p", S_IFIFO | 0600);
  for (const char* name : {"f", "d", "s", "p"}) {
    struct statx before {
    }, after{};
    p.Do("statx", [&] {
      return ::statx(AT_FDCWD, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &before);
    });
    p.Note("mask " + std::to_string(before.stx_mask & (STATX_BASIC_STATS | STATX_BTIME)));
    p.Tick();
    p.Utimens(name, {1, 1}, {2, 2}, AT_SYMLINK_NOFOLLOW);
    p.Do("statx",
         [&] { return ::statx(AT_FDCWD, name, AT_SYMLINK_NOFOLLOW, STATX_BTIME, &after); });
    p.Note(before.stx_btime.tv_sec == after.stx_btime.tv_sec &&
                   before.stx_btime.tv_nsec == after.stx_btime.tv_nsec
               ? "birth stays"
               : "birth moved");
    p.Note(before.stx_btime.tv_sec != 0 ? "known" : "unknown");
  }
}

}  // namespace pxfs::test
