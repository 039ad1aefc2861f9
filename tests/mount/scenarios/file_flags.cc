// Flags of files, as lsattr(1) and chattr(1) ask for and set them, and what they forbid.
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "tests/mount/scenario.h"

namespace pxfs::test {
namespace {

constexpr int kBoth = FS_IMMUTABLE_FL | FS_APPEND_FL;

// Other flags are the file system's own affair (ext4 says that a file has extents).
void Flags(Probe& p, const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK);
  int flags = 0;
  p.Do("FS_IOC_GETFLAGS " + path, [&] { return ::ioctl(fd, FS_IOC_GETFLAGS, &flags); });
  p.Note(path + " has " + std::to_string(flags & kBoth));
  ::close(fd);
}

void SetFlags(Probe& p, const std::string& path, int wanted) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK);
  int flags = 0;
  ::ioctl(fd, FS_IOC_GETFLAGS, &flags);
  flags = (flags & ~kBoth) | wanted;
  p.Do("FS_IOC_SETFLAGS " + path + " " + std::to_string(wanted),
       [&] { return ::ioctl(fd, FS_IOC_SETFLAGS, &flags); });
  ::close(fd);
}

// All that can be done to a file, in place and by its names; `dir` is where it lies.
void TryFile(Probe& p, const std::string& dir, const std::string& file) {
  const std::string path = dir + "/" + file;
  for (const int flags : {O_WRONLY, O_RDWR, O_WRONLY | O_APPEND, O_RDWR | O_APPEND | O_TRUNC,
                          O_WRONLY | O_TRUNC, O_RDONLY | O_TRUNC, O_RDONLY, O_RDWR | O_CREAT}) {
    const int fd = p.Open(path, flags);
    if (fd >= 0 && (flags & O_ACCMODE) != O_RDONLY) {
      p.Write(fd, "more");
      p.Ftruncate(fd, 1);
      p.Ftruncate(fd, 100);
      p.Do("fallocate", [&] { return ::fallocate(fd, 0, 0, 8192); });
      p.Do("fallocate keep", [&] { return ::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 8192); });
      p.Do("fallocate punch",
           [&] { return ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 2); });
    }
    if (fd >= 0) p.Close(fd);
  }
  p.Truncate(path, 0);
  p.Truncate(path, 5000);
  p.Chmod(path, 0600);
  p.Chown(path, 7, 7);
  p.Utimens(path, {1, 2}, {3, 4});
  p.Do("utimes now", [&] { return ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0); });
  p.Utimens(path, {0, UTIME_OMIT}, {0, UTIME_NOW});
  p.SetXattr(path, "user.x", "1");
  p.RemoveXattr(path, "user.x");
  p.SetXattr(path, "trusted.x", "1");
  p.GetXattr(path, "user.there");
  p.RemoveXattr(path, "user.there");
  p.Link(path, "link");
  p.Make("other", "x");
  p.Rename(path, dir + "/moved");
  p.Rename(path, "moved");
  p.Rename("other", path);
  p.Rename("other", path, RENAME_EXCHANGE);
  p.Rename("other", path, RENAME_NOREPLACE);
  p.Unlink("other");
  p.Unlink(path);
  p.Times(path, "mc");
  p.Stat(path);
  p.Content(path);
}

void WithFlagsOfAFile(Probe& p, int flags) {
  p.Mkdir("d");
  p.Make("d/f", "text");
  p.SetXattr("d/f", "user.there", "yes");
  SetFlags(p, "d/f", flags);
  Flags(p, "d/f");
  p.Stat("d/f");
  TryFile(p, "d", "f");
  SetFlags(p, "d/f", 0);
  Flags(p, "d/f");
  p.Unlink("d/f");
}

void WithFlagsOfADirectory(Probe& p, int flags) {
  p.Mkdir("d");
  p.Mkdir("d/sub");
  p.Mkdir("d/sub/empty");
  p.Make("d/f", "text");
  p.Make("d/sub/deep", "deep");
  p.Make("g", "g");
  SetFlags(p, "d", flags);
  Flags(p, "d");
  p.Make("d/new", "x");
  p.Make("d/f", "y");  // content is the file's own
  p.Mkdir("d/dir");
  p.Symlink("f", "d/soft");
  p.Mknod("d/fifo", S_IFIFO | 0644);
  p.Link("g", "d/g");
  p.Link("d/f", "d/again");
  p.Link("d/f", "outside");
  p.Try("O_TMPFILE", [&] { return ::open("d", O_TMPFILE | O_RDWR, 0600); });
  p.Rename("g", "d/came");
  p.Rename("d/f", "d/renamed");
  p.Rename("d/f", "left");
  p.Rename("g", "d/f");
  p.Rename("outside", "d/f", RENAME_EXCHANGE);
  p.Unlink("d/f");
  p.Unlink("d/absent");
  p.Rmdir("d/sub/empty");
  p.Rmdir("d/sub");
  p.Rename("d", "e");
  p.Rename("e", "d");
  p.Rmdir("d");
  p.Chmod("d", 0700);
  p.Chown("d", 1, 1);
  p.Utimens("d", {1, 2}, {3, 4});
  p.SetXattr("d", "user.x", "1");
  p.Make("d/sub/made", "below it all goes on");
  p.Unlink("d/sub/deep");
  p.List("d");
  p.List(".");
  p.Stat("d");
  SetFlags(p, "d", 0);
  p.Unlink("d/f");
  p.List("d");
}

}  // namespace

PXFS_SCENARIO(FileFlagsImmutable) { WithFlagsOfAFile(p, FS_IMMUTABLE_FL); }
PXFS_SCENARIO(FileFlagsAppend) { WithFlagsOfAFile(p, FS_APPEND_FL); }
PXFS_SCENARIO(FileFlagsBoth) { WithFlagsOfAFile(p, kBoth); }
PXFS_SCENARIO(FileFlagsImmutableDirectory) { WithFlagsOfADirectory(p, FS_IMMUTABLE_FL); }
PXFS_SCENARIO(FileFlagsAppendDirectory) { WithFlagsOfADirectory(p, FS_APPEND_FL); }

PXFS_SCENARIO(FileFlagsByFsxattr) {
  p.Make("f", "x");
  p.Mkdir("d");
  for (const char* name : {"f", "d"}) {
    const int fd = p.Open(name, O_RDONLY);
    fsxattr attributes{};
    p.Do("FS_IOC_FSGETXATTR", [&] { return ::ioctl(fd, FS_IOC_FSGETXATTR, &attributes); });
    for (const unsigned xflags : {FS_XFLAG_APPEND, FS_XFLAG_IMMUTABLE, 0}) {
      attributes.fsx_xflags = xflags;
      p.Do("FS_IOC_FSSETXATTR", [&] { return ::ioctl(fd, FS_IOC_FSSETXATTR, &attributes); });
      Flags(p, name);
      fsxattr now{};
      p.Do("FS_IOC_FSGETXATTR", [&] { return ::ioctl(fd, FS_IOC_FSGETXATTR, &now); });
      p.Note(std::to_string(now.fsx_xflags & (FS_XFLAG_APPEND | FS_XFLAG_IMMUTABLE)));
    }
    p.Close(fd);
  }
}

PXFS_SCENARIO(FileFlagsAndWhoMaySetThem) {
  p.Make("f", "x", 0666);
  p.Make("own", "x", 0666);
  p.Chown("own", 1000, 1000);
  p.Mknod("fifo", S_IFIFO | 0666);
  Flags(p, "fifo");
  SetFlags(p, "f", FS_APPEND_FL);
  p.Become(1000, 1000);
  Flags(p, "f");
  for (const char* name : {"f", "own"}) {
    for (const int flags : {FS_APPEND_FL, FS_IMMUTABLE_FL, 0}) SetFlags(p, name, flags);
  }
  Flags(p, "f");
  const int fd = p.Open("f", O_WRONLY | O_APPEND);
  p.Write(fd, "y");
  p.Close(fd);
  p.Open("f", O_WRONLY);
  p.Become(0, 0);
  SetFlags(p, "f", 0);
  Flags(p, "f");
}

// What is open for writing when the flags come, and who opens it then.
PXFS_SCENARIO(FileFlagsOfAnOpenFile) {
  for (const int flags : {FS_IMMUTABLE_FL, FS_APPEND_FL}) {
    p.Make("f", "text");
    const int fd = p.Open("f", O_RDWR);
    SetFlags(p, "f", flags);
    p.Open("f", O_WRONLY);
    const int appending = p.Open("f", O_WRONLY | O_APPEND);
    if (appending >= 0) p.Write(appending, "more");
    p.Ftruncate(fd, 2);
    p.Pread(fd, 10, 0);
    p.Close(fd);
    SetFlags(p, "f", 0);
    p.Unlink("f");
  }
}

PXFS_SCENARIO(FileFlagsWithoutMeaning) {
  p.Make("f", "x");
  const int fd = p.Open("f", O_RDONLY);
  // Besides what is set: ext4 takes a file without its EXTENTS_FL for one to be converted.
  int flags = 0;
  p.Do("FS_IOC_GETFLAGS", [&] { return ::ioctl(fd, FS_IOC_GETFLAGS, &flags); });
  flags |= FS_NODUMP_FL;
  p.Do("FS_IOC_SETFLAGS", [&] { return ::ioctl(fd, FS_IOC_SETFLAGS, &flags); });
  SetFlags(p, "f", FS_IMMUTABLE_FL);
  p.Access("f", W_OK);
  SetFlags(p, "f", 0);
}

}  // namespace pxfs::test
