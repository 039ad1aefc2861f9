// Time stamps: which operations move which, and what utimensat stores.
#include <ctime>

#include "tests/mount/scenario.h"

namespace pxfs::test {
namespace {

constexpr timespec kNow{0, UTIME_NOW};
constexpr timespec kOmit{0, UTIME_OMIT};

}  // namespace

PXFS_SCENARIO(TimesOfCreation) {
  p.Times(".");
  p.Tick();
  p.Make("f", "x");
  p.Times(".");
  p.Tick();
  p.Mkdir("d");
  p.Times(".");
  p.Tick();
  p.Symlink("t", "s");
  p.Times(".");
  p.Tick();
  p.Mknod("p", S_IFIFO | 0600);
  p.Times(".");
  p.Times("f");
  p.Tick();
  p.Link("f", "l");
  p.Times(".");
  p.Times("f");
  p.Tick();
  p.Unlink("l");
  p.Times(".");
  p.Times("f");
  p.Tick();
  p.Rmdir("d");
  p.Times(".");
  p.Tick();
  p.Mkdir("f");  // fails, and changes nothing
  p.Unlink("missing");
  p.Times(".");
}

PXFS_SCENARIO(TimesOfNewNodesAgree) {
  p.Make("f", "");
  p.Mkdir("d");
  p.Symlink("t", "s");
  for (const char* name : {"f", "d", "s"}) {
    struct stat st {};
    if (::lstat(name, &st) != 0) continue;
    p.Note(std::string(name) +
           (st.st_mtim.tv_sec == st.st_ctim.tv_sec && st.st_mtim.tv_nsec == st.st_ctim.tv_nsec
                ? ": mtime is ctime"
                : ": mtime is not ctime"));
    timespec now;
    ::clock_gettime(CLOCK_REALTIME, &now);
    p.Note(now.tv_sec - st.st_mtim.tv_sec <= 2 && now.tv_sec >= st.st_mtim.tv_sec ? "and now"
                                                                                  : "and not now");
  }
}

PXFS_SCENARIO(TimesOfWriting) {
  const int fd = p.Open("f", O_RDWR | O_CREAT);
  p.Times("f");
  p.Tick();
  p.Write(fd, "data");
  p.Times("f");
  p.Tick();
  p.Pread(fd, 2, 0);
  p.Times("f");
  p.Tick();
  p.Write(fd, "");
  p.Times("f");
  p.Tick();
  p.Ftruncate(fd, 2);
  p.Times("f");
  p.Tick();
  p.Ftruncate(fd, 2);  // the size stays, the times move
  p.Times("f");
  p.Tick();
  p.Truncate("f", 2);
  p.Times("f");
  p.Tick();
  p.Do("fallocate", [&] { return ::fallocate(fd, 0, 0, 8'192); });
  p.Times("f");
  p.Tick();
  p.Do("fallocate keep size", [&] { return ::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 16'384); });
  p.Times("f");
  p.Tick();
  p.Do("fsync", [&] { return ::fsync(fd); });
  p.Times("f");
  p.Close(fd);
  p.Times("f");  // closing changes nothing
  p.Tick();
  p.Close(p.Open("f", O_RDWR));
  p.Times("f");
  p.Tick();
  p.Close(p.Open("f", O_WRONLY | O_TRUNC));
  p.Times("f");
  p.Tick();
  p.Close(p.Open("f", O_WRONLY | O_TRUNC));  // empty already
  p.Times("f");
}

PXFS_SCENARIO(TimesOfAttributes) {
  p.Make("f", "x");
  p.Mkdir("d");
  for (const char* name : {"f", "d"}) {
    p.Times(name);
    p.Tick();
    p.Chmod(name, 0700);
    p.Times(name);
    p.Tick();
    p.Chmod(name, 0700);  // the same mode, still a change
    p.Times(name);
    p.Tick();
    p.Chown(name, 1, 1);
    p.Times(name);
    p.Tick();
    p.Chown(name, static_cast<uid_t>(-1), static_cast<gid_t>(-1));
    p.Times(name);
    p.Tick();
    p.SetXattr(name, "user.a", "1");
    p.Times(name);
    p.Tick();
    p.RemoveXattr(name, "user.a");
    p.Times(name);
    p.Tick();
    p.RemoveXattr(name, "user.a");
    p.Access(name, R_OK);
    p.List(name);
    p.Times(name);
  }
}

PXFS_SCENARIO(TimesSetByUser) {
  p.Make("f", "x");
  p.Mkdir("d");
  p.Symlink("f", "s");
  const timespec values[] = {{0, 0},
                             {1, 999'999'999},
                             {1'700'000'000, 123'456'789},
                             {-1, 500},
                             {-86'400, 0},
                             {2'147'483'647, 1},
                             {2'147'483'648, 2},
                             {4'294'967'296, 3},
                             {7'258'118'400, 999}};
  for (const char* name : {"f", "d", "s"}) {
    for (const timespec& value : values) {
      p.Utimens(name, value, {value.tv_sec + 10, value.tv_nsec}, AT_SYMLINK_NOFOLLOW);
      p.ExactTimes(name);
    }
  }
  p.Utimens("s", {5, 5}, {6, 6});
  p.ExactTimes("s", "m");
  p.ExactTimes("f");
  p.Utimens("f", {0, 1'000'000'000}, {0, 0});
  p.Utimens("f", {0, -5}, {0, 0});
  p.Utimens("missing", {1, 1}, {1, 1});
  p.ExactTimes("f");
}

PXFS_SCENARIO(TimesNowAndOmit) {
  p.Make("f", "x");
  p.Utimens("f", {100, 1}, {200, 2});
  p.ExactTimes("f");
  p.Times("f", "amc");
  p.Tick();
  p.Utimens("f", kOmit, {300, 3});
  p.ExactTimes("f");
  p.Times("f", "amc");
  p.Tick();
  p.Utimens("f", {400, 4}, kOmit);
  p.ExactTimes("f");
  p.Times("f", "amc");
  p.Tick();
  p.Utimens("f", kOmit, kOmit);
  p.Times("f", "amc");
  p.Tick();
  p.Utimens("f", kNow, kOmit);
  p.Times("f", "amc");
  p.ExactTimes("f", "m");
  p.Tick();
  p.Utimens("f", kOmit, kNow);
  p.Times("f", "amc");
  p.Tick();
  p.Do("utimensat without times", [] { return ::utimensat(AT_FDCWD, "f", nullptr, 0); });
  p.Times("f", "amc");
}

// A FUSE file system learns of a close(2) only some time after it has returned.
PXFS_SCENARIO(TimesSetRightAfterClosing) {
  for (int i = 0; i < 300; ++i) {
    const std::string name = "f" + std::to_string(i % 10);
    p.Make(name, "x");
    p.Utimens(name, {100, i}, {200, i});
    p.ExactTimes(name);
  }
}

PXFS_SCENARIO(TimesSetOnAnOpenFile) {
  const int fd = p.Open("f", O_RDWR | O_CREAT);
  p.Write(fd, "written first");
  const timespec times[2] = {{1'000, 1}, {2'000, 2}};
  p.Do("futimens", [&] { return ::futimens(fd, times); });
  p.ExactTimes("f");
  p.Close(fd);
  p.ExactTimes("f");
  p.Make("g", "x");
  const int writer = p.Open("g", O_WRONLY);
  p.Utimens("g", {3'000, 3}, {4'000, 4});
  p.ExactTimes("g");
  p.Times("g");
  p.Tick();
  p.Write(writer, "later");
  p.Times("g");
  p.ExactTimes("g", "a");
  p.Close(writer);
  p.Times("g");
  const int reader = p.Open("g", O_RDONLY);
  p.Do("futimens through a reader", [&] { return ::futimens(reader, times); });
  p.ExactTimes("g");
}

PXFS_SCENARIO(TimesSetByOthers) {
  p.Make("roots", "x", 0666);
  p.Make("closed", "x", 0600);
  p.Make("mine", "x", 0444);
  p.Chown("mine", 1000, 1000);
  p.Become(1000, 1000);
  p.Utimens("roots", kNow, kNow);
  p.Utimens("roots", {1, 1}, {1, 1});
  p.Utimens("roots", kNow, kOmit);
  p.Utimens("roots", kOmit, kOmit);
  p.Utimens("closed", kNow, kNow);
  p.Utimens("closed", {1, 1}, {1, 1});
  p.Utimens("mine", kNow, kNow);
  p.Utimens("mine", {1, 1}, {2, 2});
  p.ExactTimes("mine");
}

PXFS_SCENARIO(TimesOfReadingFollowRelatime) {
  p.Make("f", "content");
  p.Utimens("f", {1'000, 0}, {2'000, 0});  // older than mtime: the next read moves it
  p.Times("f", "a");
  p.Tick();
  p.Content("f");
  p.Times("f", "amc");
  p.Tick();
  p.Content("f");  // newer than mtime: stays
  p.Times("f", "amc");
}

// The access time of a reader is seen at once, although a FUSE file system learns only later that
// it has closed the file.
PXFS_SCENARIO(TimesOfReadingSeenRightAfterClosing) {
  p.Make("f", "content");
  for (int i = 0; i < 100; ++i) {
    p.Utimens("f", {1'000, i}, {2'000, 0});
    p.Times("f", "a");
    p.Content("f");
    p.Times("f", "a");
    p.Times("f", "a");
  }
}

PXFS_SCENARIO(TimesOfWritingWithoutAName) {
  const int fd = p.Open("f", O_RDWR | O_CREAT);
  p.Write(fd, "before");
  p.Times("f");
  p.Tick();
  p.Do("write later", [&] { return ::pwrite(fd, "after!", 6, 0); });
  p.Times("f");
  p.Tick();
  p.Unlink("f");
  struct stat before {
  }, after{};
  ::fstat(fd, &before);
  p.Tick();
  p.Do("write nameless", [&] { return ::pwrite(fd, "gone!!", 6, 0); });
  ::fstat(fd, &after);
  p.Note(after.st_mtim.tv_sec != before.st_mtim.tv_sec ||
                 after.st_mtim.tv_nsec != before.st_mtim.tv_nsec
             ? "mtime moved"
             : "mtime stayed");
}

}  // namespace pxfs::test
