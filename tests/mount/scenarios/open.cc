// open(2) and its flags.
#include "tests/mount/scenario.h"

namespace pxfs::test {

PXFS_SCENARIO(OpenForReadingTruncates) {
  p.Make("f", "some text");
  p.Stat("f");
  p.Times("f");
  p.Tick();
  const int fd = p.Open("f", O_RDONLY | O_TRUNC);
  p.Fstat(fd);
  p.Read(fd, 10);
  p.Times("f");
  p.Close(fd);
  p.Stat("f");
  p.Content("f");
  p.Make("g", "other text");
  const int reader = p.Open("g", O_RDONLY);
  p.Pread(reader, 4, 0);
  p.Close(p.Open("g", O_RDONLY | O_TRUNC));
  p.Pread(reader, 4, 0);
  p.Stat("g");
}

PXFS_SCENARIO(OpenCreateExclusiveTruncate) {
  p.Open("missing", O_RDONLY);
  p.Open("missing/below", O_RDONLY | O_CREAT);
  const int fd = p.Open("a", O_RDWR | O_CREAT | O_EXCL, 0640);
  p.Write(fd, "hello");
  p.Fstat(fd);
  p.Open("a", O_RDWR | O_CREAT | O_EXCL);
  p.Open("a", O_RDONLY | O_CREAT, 0777);  // the mode of a file that is there stays
  p.Stat("a");
  p.Close(p.Open("a", O_WRONLY | O_TRUNC));
  p.Stat("a");
  p.Read(fd, 10);
  p.Pread(fd, 10, 0);
  p.Close(fd);
  p.Mkdir("d");
  p.Open("d", O_RDONLY | O_CREAT | O_EXCL);
  p.Open("d", O_RDONLY | O_CREAT);
  p.Open("d", O_WRONLY);
  p.Open("d", O_RDWR);
  p.Open("d", O_RDONLY | O_TRUNC);
  p.Open("a/below", O_RDONLY);
  p.Open("a", O_RDONLY | O_DIRECTORY);
  p.Close(p.Open("d", O_RDONLY | O_DIRECTORY));
}

PXFS_SCENARIO(OpenModesAreEnforcedOnTheDescriptor) {
  p.Make("a", "content");
  const int reader = p.Open("a", O_RDONLY);
  p.Write(reader, "no");
  p.Ftruncate(reader, 0);
  const int writer = p.Open("a", O_WRONLY);
  p.Read(writer, 4);
  p.Write(writer, "C");
  p.Read(reader, 16);
  const int path = p.Open("a", O_PATH);
  p.Read(path, 1);
  p.Write(path, "x");
  p.Fstat(path);
  p.Do("fchmod of O_PATH", [&] { return ::fchmod(path, 0600); });
}

PXFS_SCENARIO(OpenAppend) {
  const int fd = p.Open("log", O_WRONLY | O_CREAT | O_APPEND);
  p.Write(fd, "one,");
  p.Seek(fd, 0, SEEK_SET);
  p.Write(fd, "two,");
  p.Seek(fd, 0, SEEK_CUR);
  p.Pwrite(fd, "three", 0);  // Linux appends with pwrite too
  p.Content("log");
  const int second = p.Open("log", O_WRONLY | O_APPEND);
  p.Write(second, ",four");
  p.Write(fd, ",five");
  p.Content("log");
}

PXFS_SCENARIO(OpenAppendTurnedOn) {
  p.Make("log", "one");
  const int fd = p.Open("log", O_WRONLY);
  p.Do("set O_APPEND", [&] { return ::fcntl(fd, F_SETFL, O_APPEND); });
  p.Write(fd, ",two");
  p.Content("log");
}

PXFS_SCENARIO(OpenAppendTurnedOff) {
  const int fd = p.Open("log", O_WRONLY | O_CREAT | O_APPEND);
  p.Write(fd, "one,two");
  p.Do("clear O_APPEND", [&] { return ::fcntl(fd, F_SETFL, 0); });
  p.Pwrite(fd, "ONE", 0);
  p.Content("log");
}

PXFS_SCENARIO(OpenNoFollow) {
  p.Make("target", "t");
  p.Symlink("target", "link");
  p.Symlink("nowhere", "dangling");
  p.Open("link", O_RDONLY | O_NOFOLLOW);
  p.Close(p.Open("link", O_RDONLY));
  const int fd = p.Open("link", O_PATH | O_NOFOLLOW);
  p.Fstat(fd);
  p.Open("dangling", O_RDONLY);
  p.Open("dangling", O_WRONLY | O_CREAT | O_EXCL);
  p.Close(p.Open("dangling", O_WRONLY | O_CREAT));
  p.List(".");
  p.Symlink("loop2", "loop1");
  p.Symlink("loop1", "loop2");
  p.Open("loop1", O_RDONLY);
  p.Open("loop1", O_RDONLY | O_CREAT);
  p.Stat("loop1");
  p.StatFollow("loop1");
}

PXFS_SCENARIO(OpenTmpfile) {
  p.Mkdir("d");
  const int fd = p.Open("d", O_TMPFILE | O_RDWR, 0600);
  p.Fstat(fd);
  p.Write(fd, "unnamed");
  p.List("d");
  p.Rmdir("d/none");
  p.Do("linkat of the descriptor", [&] {
    return ::linkat(AT_FDCWD, ("/proc/self/fd/" + std::to_string(fd)).c_str(), AT_FDCWD, "d/named",
                    AT_SYMLINK_FOLLOW);
  });
  p.Stat("d/named");
  p.Content("d/named");
  p.Write(fd, ", now named");
  p.Close(fd);
  p.Content("d/named");
  const int exclusive = p.Open("d", O_TMPFILE | O_RDWR | O_EXCL, 0600);
  p.Do("linkat of an exclusive one", [&] {
    return ::linkat(AT_FDCWD, ("/proc/self/fd/" + std::to_string(exclusive)).c_str(), AT_FDCWD,
                    "d/never", AT_SYMLINK_FOLLOW);
  });
  p.Open("d", O_TMPFILE | O_RDONLY, 0600);
  p.Open("d/named", O_TMPFILE | O_RDWR, 0600);
  const int dropped = p.Open("d", O_TMPFILE | O_WRONLY, 0644);
  p.Write(dropped, std::string(100'000, 'x'));
  p.Close(dropped);
  p.List("d");
}

PXFS_SCENARIO(OpenWithoutPermission) {
  p.Make("private", "secret", 0600);
  p.Make("readable", "public", 0644);
  p.Mkdir("closed", 0700);
  p.Make("closed/file", "x");
  p.Mkdir("shared", 0777);
  p.Chmod("shared", 0777);
  p.Become(1000, 1000);
  p.Open("private", O_RDONLY);
  p.Open("readable", O_WRONLY);
  p.Open("readable", O_RDONLY | O_TRUNC);
  p.Close(p.Open("readable", O_RDONLY));
  p.Open("closed/file", O_RDONLY);
  p.Open("new", O_WRONLY | O_CREAT);
  p.Open("readable", O_RDONLY | O_NOATIME);
  const int fd =
      p.Open("shared/new", O_RDWR | O_CREAT, 0);  // may be written although its mode forbids it
  p.Write(fd, "mine");
  p.Fstat(fd);
  p.Open("shared/new", O_RDONLY);
  p.Become(0, 0);
  p.Content("shared/new");
}

PXFS_SCENARIO(OpenManyDescriptorsOfOneFile) {
  p.Make("a", "0123456789");
  const int first = p.Open("a", O_RDONLY);
  const int second = p.Open("a", O_RDWR);
  const int third = p.Open("a", O_WRONLY | O_APPEND);
  p.Read(first, 3);
  p.Write(second, "XY");
  p.Read(first, 3);
  p.Write(third, "end");
  p.Read(second, 20);
  p.Pread(first, 20, 0);
  p.Do("dup shares the offset", [&] { return ::lseek(::dup(first), 0, SEEK_CUR); });
  p.Close(second);
  p.Ftruncate(third, 4);
  p.Pread(first, 20, 0);
  p.Fstat(first);
}

}  // namespace pxfs::test
