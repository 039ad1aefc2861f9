// What lives on without a name while it is open.
#include <dirent.h>

#include "tests/mount/scenario.h"

namespace pxfs::test {

PXFS_SCENARIO(UnlinkedFileLivesWhileOpen) {
  const int fd = p.Open("a", O_RDWR | O_CREAT, 0644);
  p.Write(fd, "still here");
  p.Unlink("a");
  p.Stat("a");
  p.Fstat(fd);
  p.Pread(fd, 100, 0);
  p.Write(fd, ", and growing");
  p.Pread(fd, 100, 0);
  p.Ftruncate(fd, 5);
  p.Fstat(fd);
  p.Do("fchmod", [&] { return ::fchmod(fd, 0600); });
  p.Do("fchown", [&] { return ::fchown(fd, 10, 20); });
  p.Fstat(fd);
  p.Make("a", "a new file of that name");
  p.Content("a");
  p.Pread(fd, 100, 0);
  const std::string again = "/proc/self/fd/" + std::to_string(fd);
  const int second =
      static_cast<int>(p.Try("open again", [&] { return ::open(again.c_str(), O_RDONLY); }));
  p.Close(fd);
  p.Read(second, 100);
  p.Close(second);
  p.Stat("a");
}

PXFS_SCENARIO(UnlinkedForReadingOnly) {
  p.Make("a", std::string(200'000, 'r'));
  const int fd = p.Open("a", O_RDONLY);
  p.Unlink("a");
  p.Pread(fd, 200'000, 0);
  p.Fstat(fd);
  const std::string again = "/proc/self/fd/" + std::to_string(fd);
  const int writer =
      static_cast<int>(p.Try("open for writing", [&] { return ::open(again.c_str(), O_WRONLY); }));
  p.Write(writer, "W");
  p.Pread(fd, 5, 0);
  p.Close(writer);
  p.Close(fd);
}

PXFS_SCENARIO(ReplacedFileLivesWhileOpen) {
  p.Make("a", "old content");
  const int fd = p.Open("a", O_RDWR);
  p.Make("b", "new content");
  p.Rename("b", "a");
  p.Pread(fd, 100, 0);
  p.Write(fd, "OLD");
  p.Content("a");
  p.Pread(fd, 100, 0);
  p.Fstat(fd);
  p.Stat("a");
}

PXFS_SCENARIO(RemovedDirectoryLivesWhileOpen) {
  p.Mkdir("d");
  p.Make("d/f");
  const int fd = p.Open("d", O_RDONLY | O_DIRECTORY);
  p.Unlink("d/f");
  p.Rmdir("d");
  p.Fstat(fd);
  p.Do("openat", [&] { return ::openat(fd, "x", O_WRONLY | O_CREAT, 0644); });
  p.Do("mkdirat", [&] { return ::mkdirat(fd, "x", 0755); });
  p.Do("symlinkat", [&] { return ::symlinkat("t", fd, "x"); });
  p.Do("fstatat", [&] {
    struct stat st;
    return ::fstatat(fd, "f", &st, 0);
  });
  p.Make("file", "x");
  p.Do("renameat into it", [&] { return ::renameat(AT_FDCWD, "file", fd, "x"); });
  p.Do("linkat into it", [&] { return ::linkat(AT_FDCWD, "file", fd, "x", 0); });
  p.Do("fchmod", [&] { return ::fchmod(fd, 0700); });
  p.Fstat(fd);
  DIR* directory = ::fdopendir(fd);
  int entries = 0;
  while (directory && ::readdir(directory)) ++entries;
  p.Note(std::to_string(entries) + " entries");
  p.Mkdir("d");
  p.Stat("d");
}

PXFS_SCENARIO(ReplacedDirectoryLivesWhileOpen) {
  p.Mkdir("old");
  p.Mkdir("new");
  p.Make("new/f");
  const int fd = p.Open("old", O_RDONLY | O_DIRECTORY);
  p.Rename("new", "old");
  p.Fstat(fd);
  p.Do("openat", [&] { return ::openat(fd, "f", O_RDONLY); });
  p.List("old");
}

PXFS_SCENARIO(ManyUnlinkedFiles) {
  std::vector<int> descriptors;
  for (int i = 0; i < 200; ++i) {
    const int fd = ::open("same", O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0) return p.Note("open " + ErrnoName(errno));
    const std::string text = "file " + std::to_string(i);
    if (::write(fd, text.data(), text.size()) < 0 || ::unlink("same") != 0)
      p.Note(ErrnoName(errno));
    descriptors.push_back(fd);
  }
  for (const int fd : descriptors) p.Pread(fd, 20, 0);
  p.List(".");
}

}  // namespace pxfs::test
