// chmod, chown, the set-id bits, sticky and setgid directories, umask.
#include "tests/mount/scenario.h"

namespace pxfs::test {

PXFS_SCENARIO(ModeChanges) {
  p.Make("a", "x");
  for (const mode_t mode : {0, 0777, 0644, 04755, 02755, 06777, 01644, 07777}) {
    p.Chmod("a", mode);
    p.Stat("a");
  }
  p.Mkdir("d");
  for (const mode_t mode : {0, 0777, 01777, 02775, 07777}) {
    p.Chmod("d", mode);
    p.Stat("d");
  }
  p.Chmod("missing", 0644);
  p.Symlink("a", "link");
  p.Chmod("link", 0600);
  p.Stat("link");
  p.Stat("a");
  p.Do("chmod of a symlink",
       [] { return ::fchmodat(AT_FDCWD, "link", 0600, AT_SYMLINK_NOFOLLOW); });
  const int fd = p.Open("a", O_RDWR);
  p.Do("fchmod", [&] { return ::fchmod(fd, 0640); });
  p.Fstat(fd);
}

PXFS_SCENARIO(ModeChangesByOthers) {
  p.Make("roots", "x", 0666);
  p.Make("mine", "x", 0644);
  p.Chown("mine", 1000, 1000);
  p.Mkdir("mydir");
  p.Chown("mydir", 1000, 1000);
  p.Become(1000, 1000);
  p.Chmod("roots", 0777);
  p.Chmod("mine", 04755);
  p.Stat("mine");
  p.Chmod("mine", 02755);
  p.Stat("mine");
  p.Become(0, 0);
  p.Chown("mine", 1000, 2000);
  p.Become(1000, 1000);
  p.Chmod("mine", 02755);  // not a member of the group: the bit is dropped
  p.Stat("mine");
  p.Become(1000, 1000, {2000});
  p.Chmod("mine", 02755);
  p.Stat("mine");
  p.Chmod("mydir", 02755);
  p.Stat("mydir");
}

PXFS_SCENARIO(OwnerChanges) {
  p.Make("a", "x", 0644);
  p.Chown("a", 1000, 2000);
  p.Stat("a");
  p.Chown("a", static_cast<uid_t>(-1), 3000);
  p.Stat("a");
  p.Chown("a", 5, static_cast<gid_t>(-1));
  p.Stat("a");
  p.Chown("a", 4294967294u, 4294967294u);
  p.Stat("a");
  p.Symlink("a", "link");
  p.Chown("link", 7, 8);
  p.Stat("link");
  p.Stat("a");
  p.Chown("link", 9, 10, 0);
  p.Stat("link");
  p.Stat("a");
  p.Chown("missing", 0, 0);
}

PXFS_SCENARIO(OwnerChangesByOthers) {
  p.Make("mine", "x", 0644);
  p.Chown("mine", 1000, 1000);
  p.Make("roots", "x", 0666);
  p.Become(1000, 1000, {2000});
  p.Chown("mine", 1001, static_cast<gid_t>(-1));
  p.Chown("mine", static_cast<uid_t>(-1), 2000);
  p.Chown("mine", static_cast<uid_t>(-1), 3000);
  p.Chown("mine", 1000, 1000);
  p.Chown("mine", static_cast<uid_t>(-1), static_cast<gid_t>(-1));
  p.Chown("roots", static_cast<uid_t>(-1), static_cast<gid_t>(-1));
  p.Chown("roots", 1000, 1000);
  p.Stat("mine");
  p.Stat("roots");
}

PXFS_SCENARIO(ChownClearsSetIdBits) {
  for (const mode_t mode : {04755, 02755, 06755, 02644, 06644, 06711}) {
    for (const bool root : {true, false}) {
      p.Make("f", "x");
      p.Chown("f", 1000, 1000);
      p.Chmod("f", mode);
      if (!root) p.Become(1000, 1000, {2000});
      p.Chown("f", static_cast<uid_t>(-1), root ? 3000 : 2000);
      p.Become(0, 0);
      p.Stat("f");
      p.Unlink("f");
    }
  }
  p.Mkdir("d");
  p.Chmod("d", 06775);
  p.Chown("d", 1000, 2000);
  p.Stat("d");
}

PXFS_SCENARIO(WritingClearsSetIdBits) {
  for (const mode_t mode : {04777, 02777, 06777, 02767, 06767}) {
    for (const char* how : {"write", "truncate", "ftruncate", "open", "fallocate", "nothing"}) {
      p.Make("f", "content");
      p.Chmod("f", mode);
      p.Note(std::string("as a user: ") + how);
      p.Become(1000, 1000);
      const std::string action = how;
      if (action == "truncate") {
        p.Truncate("f", 3);
      } else {
        const int fd = p.Open("f", O_RDWR | (action == "open" ? O_TRUNC : 0));
        if (action == "write") p.Write(fd, "x");
        if (action == "ftruncate") p.Ftruncate(fd, 3);
        if (action == "fallocate") p.Do("fallocate", [&] { return ::fallocate(fd, 0, 0, 4'096); });
        p.Fstat(fd);
        p.Close(fd);
      }
      p.Become(0, 0);
      p.Stat("f");
      p.Unlink("f");
    }
  }
  p.Make("f", "content");
  p.Chmod("f", 06777);
  const int fd = p.Open("f", O_RDWR);
  p.Write(fd, "root keeps them");
  p.Ftruncate(fd, 3);
  p.Fstat(fd);
}

PXFS_SCENARIO(StickyDirectory) {
  p.Mkdir("tmp");
  p.Chmod("tmp", 01777);
  p.Become(1000, 1000);
  p.Make("tmp/of1000", "x", 0666);
  p.Mkdir("tmp/dir1000", 0777);
  p.Become(1001, 1001);
  p.Make("tmp/of1001", "x");
  p.Unlink("tmp/of1000");
  p.Rmdir("tmp/dir1000");
  p.Rename("tmp/of1000", "tmp/x");
  p.Rename("tmp/of1001", "tmp/of1000");
  p.Rename("tmp/of1001", "tmp/of1000", RENAME_EXCHANGE);
  p.Rename("tmp/of1001", "tmp/renamed");
  p.Unlink("tmp/renamed");
  p.Become(1000, 1000);
  p.Unlink("tmp/of1000");
  p.Become(0, 0);
  p.Chown("tmp", 1002, 1002);
  p.Become(1002, 1002);
  p.Rmdir("tmp/dir1000");
  p.Become(0, 0);
  p.Tree("tmp");
}

PXFS_SCENARIO(SetgidDirectory) {
  p.Mkdir("shared");
  p.Chown("shared", 0, 2000);
  p.Chmod("shared", 02777);
  p.Become(1000, 1000);
  p.Make("shared/file", "x");
  p.Mkdir("shared/dir", 0755);
  p.Symlink("t", "shared/link");
  p.Mknod("shared/fifo", S_IFIFO | 0644);
  const int fd = p.Open("shared/exec", O_WRONLY | O_CREAT, 02775);  // not of the group: no setgid
  p.Fstat(fd);
  p.Stat("shared/file");
  p.Stat("shared/dir");
  p.Stat("shared/link");
  p.Stat("shared/fifo");
  p.Make("shared/dir/below", "x");
  p.Stat("shared/dir/below");
  p.Become(1000, 1000, {2000});
  p.Close(p.Open("shared/member", O_WRONLY | O_CREAT, 02775));
  p.Stat("shared/member");
  p.Fstat(p.Open("shared", O_TMPFILE | O_RDWR, 0660));
}

PXFS_SCENARIO(UmaskAtCreation) {
  for (const mode_t mask : {0, 022, 027, 077, 0777}) {
    p.Umask(mask);
    p.Make("f", "x", 0666);
    p.Mkdir("d", 0777);
    p.Mknod("n", S_IFIFO | 0666);
    p.Symlink("t", "s");
    for (const char* name : {"f", "d", "n", "s"}) p.Stat(name);
    p.Unlink("f");
    p.Rmdir("d");
    p.Unlink("n");
    p.Unlink("s");
  }
  p.Umask(0);
  p.Close(p.Open("setid", O_WRONLY | O_CREAT, 07777));
  p.Stat("setid");
  p.Mkdir("sticky", 07777);
  p.Stat("sticky");
}

PXFS_SCENARIO(CreatorOwnsWhatItCreates) {
  p.Mkdir("open");
  p.Chmod("open", 0777);
  p.Become(1234, 5678, {9});
  p.Make("open/f", "x");
  p.Mkdir("open/d");
  p.Symlink("t", "open/s");
  p.Mknod("open/p", S_IFIFO | 0600);
  p.Mknod("open/c", S_IFCHR | 0600, 0x103);
  p.Tree("open");
  p.Become(0, 0);
}

}  // namespace pxfs::test
