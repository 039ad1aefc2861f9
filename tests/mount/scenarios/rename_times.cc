// Which times a change of names moves: of the directories, of what is named, of its other names.
#include "tests/mount/scenario.h"

namespace pxfs::test {
namespace {

void AllTimes(Probe& p, std::initializer_list<const char*> names) {
  for (const char* name : names) p.Times(name);
  p.Tick();
}

}  // namespace

PXFS_SCENARIO(TimesOfRenaming) {
  p.Mkdir("a");
  p.Mkdir("b");
  p.Make("a/f", "f");
  p.Make("b/g", "g");
  p.Link("b/g", "other");
  p.Mkdir("a/d");
  p.Mkdir("b/e");
  p.Symlink("t", "a/s");
  AllTimes(p, {".", "a", "b", "a/f", "b/g", "other", "a/d", "b/e", "a/s"});
  p.Rename("a/f", "a/h");
  AllTimes(p, {".", "a", "b", "a/h"});
  p.Rename("a/h", "b/g");  // replaces one of two names
  AllTimes(p, {".", "a", "b", "b/g", "other"});
  p.Stat("other");
  p.Rename("a/d", "b/d");
  AllTimes(p, {".", "a", "b", "b/d"});
  p.Rename("b/d", "b/e");  // an empty directory over another
  AllTimes(p, {".", "a", "b", "b/e"});
  p.Rename("a/s", "b/s");
  AllTimes(p, {".", "a", "b", "b/s"});
  p.Rename("b/s", "other", RENAME_EXCHANGE);
  AllTimes(p, {".", "a", "b", "b/s", "other"});
  p.Link("b/g", "b/same");
  AllTimes(p, {"b", "b/g"});
  p.Rename("b/g", "b/same");  // two names of one file: nothing happens
  AllTimes(p, {"b", "b/g", "b/same"});
  p.Rename("b/missing", "a/x");
  p.Rename("b/e", "b/e/below");
  p.Rename("b/g", "b/e");
  p.Rename("b/g", "b/same", RENAME_NOREPLACE);
  AllTimes(p, {".", "a", "b", "b/e", "b/g"});
}

PXFS_SCENARIO(TimesOfTheOtherNames) {
  p.Mkdir("d");
  p.Make("a", "x");
  p.Link("a", "d/b");
  p.Link("a", "c");
  AllTimes(p, {"a", "d", "d/b"});
  p.Chmod("a", 0600);
  AllTimes(p, {"a", "d", "d/b", "c"});
  p.Chown("d/b", 1, 1);
  AllTimes(p, {"a", "d", "d/b", "c"});
  p.SetXattr("c", "user.x", "1");
  AllTimes(p, {"a", "d", "d/b", "c"});
  const int fd = p.Open("d/b", O_WRONLY | O_APPEND);
  p.Write(fd, "more");
  AllTimes(p, {"a", "d", "d/b", "c"});
  p.Close(fd);
  AllTimes(p, {"a", "d", "d/b", "c"});
  p.Truncate("c", 1);
  AllTimes(p, {"a", "d", "d/b", "c"});
  p.Utimens("a", {5, 6}, {7, 8});
  p.ExactTimes("d/b");
  p.Times("c", "c");
  p.Tick();
  p.Unlink("a");
  AllTimes(p, {"d", "d/b", "c"});
  p.Stat("c");
  p.Unlink("d/b");
  AllTimes(p, {"d", "c"});
  p.Stat("c");
}

PXFS_SCENARIO(TimesOfARemovedFileThatIsOpen) {
  const int fd = p.Open("f", O_RDWR | O_CREAT);
  p.Mkdir("d");
  const int directory = p.Open("d", O_RDONLY | O_DIRECTORY);
  const auto changed = [&](int of, const char* what, auto change) {
    struct stat before {
    }, after{};
    ::fstat(of, &before);
    p.Tick();
    change();
    ::fstat(of, &after);
    const auto moved = [](const timespec& a, const timespec& b) {
      return a.tv_sec != b.tv_sec || a.tv_nsec != b.tv_nsec ? "+" : "=";
    };
    p.Note(std::string(what) + " m" + moved(before.st_mtim, after.st_mtim) + " c" +
           moved(before.st_ctim, after.st_ctim));
    p.Fstat(of);
  };
  changed(fd, "unlink", [&] { p.Unlink("f"); });
  changed(fd, "write", [&] { p.Write(fd, "x"); });
  changed(fd, "fchmod", [&] { p.Do("fchmod", [&] { return ::fchmod(fd, 0600); }); });
  changed(fd, "fchown", [&] { p.Do("fchown", [&] { return ::fchown(fd, 1, 2); }); });
  changed(fd, "ftruncate", [&] { p.Ftruncate(fd, 0); });
  changed(directory, "rmdir", [&] { p.Rmdir("d"); });
  changed(directory, "fchmod", [&] { p.Do("fchmod", [&] { return ::fchmod(directory, 0711); }); });
}

PXFS_SCENARIO(TimesAndWhoMaySetThem) {
  constexpr timespec now{0, UTIME_NOW}, omit{0, UTIME_OMIT};
  for (const mode_t mode : {0666, 0444, 0222, 0000}) {
    for (const uid_t uid : {0u, 1000u, 1001u}) {
      p.Make("f", "x");
      p.Chown("f", 1000, 1000);
      p.Chmod("f", mode);
      p.Become(uid, uid);
      p.Utimens("f", now, now);
      p.Utimens("f", now, omit);
      p.Utimens("f", omit, now);
      p.Utimens("f", omit, omit);
      p.Utimens("f", {1, 2}, {3, 4});
      p.Utimens("f", {1, 2}, now);
      p.Utimens("f", now, {3, 4});
      p.Utimens("f", omit, {3, 4});
      p.Do("utimensat without times", [] { return ::utimensat(AT_FDCWD, "f", nullptr, 0); });
      p.Become(0, 0);
      p.Unlink("f");
    }
  }
}

}  // namespace pxfs::test
