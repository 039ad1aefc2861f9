// Hard links and symbolic links.
#include "tests/mount/scenario.h"

namespace pxfs::test {

PXFS_SCENARIO(HardLinks) {
  p.Make("a", "one");
  p.Link("a", "b");
  p.Stat("a");
  p.Stat("b");
  p.Link("a", "b");
  p.Mkdir("d");
  p.Link("a", "d/c");
  p.Link("d", "e");
  p.Link("missing", "x");
  p.Link("a", "missing/x");
  p.Link("a", "a");
  p.Make("b", "written through b");
  p.Content("a");
  p.Content("d/c");
  p.Chmod("d/c", 0600);
  p.Stat("a");
  p.Unlink("a");
  p.Stat("b");
  p.Content("b");
  p.Rename("b", "d/c");  // names of the same inode: nothing happens
  p.Stat("b");
  p.Stat("d/c");
  p.Unlink("b");
  p.Stat("d/c");
  p.Mknod("fifo", S_IFIFO | 0600);
  p.Link("fifo", "fifo2");
  p.Stat("fifo2");
}

PXFS_SCENARIO(HardLinksToSymlinks) {
  p.Make("file", "x");
  p.Symlink("file", "soft");
  p.Link("soft", "hard_to_soft");
  p.Link("soft", "hard_to_file", AT_SYMLINK_FOLLOW);
  p.Stat("soft");
  p.Stat("hard_to_soft");
  p.Stat("hard_to_file");
  p.Readlink("hard_to_soft");
}

PXFS_SCENARIO(HardLinksWhileOpen) {
  const int fd = p.Open("a", O_RDWR | O_CREAT);
  p.Write(fd, "before");
  p.Link("a", "b");
  p.Write(fd, " and after");
  p.Content("b");
  p.Stat("b");
  p.Unlink("a");
  p.Write(fd, " and later");
  p.Fstat(fd);
  p.Content("b");
  p.Unlink("b");
  p.Fstat(fd);
  p.Do("link of an unlinked file", [&] {
    return ::linkat(AT_FDCWD, ("/proc/self/fd/" + std::to_string(fd)).c_str(), AT_FDCWD, "back",
                    AT_SYMLINK_FOLLOW);
  });
  p.Pread(fd, 100, 0);
}

PXFS_SCENARIO(ManyHardLinks) {
  p.Make("a", "x");
  for (int i = 0; i < 1'000; ++i) {
    if (::link("a", ("l" + std::to_string(i)).c_str()) != 0)
      return p.Note("link failed: " + ErrnoName(errno));
  }
  p.Stat("a");
  for (int i = 0; i < 1'000; i += 2) ::unlink(("l" + std::to_string(i)).c_str());
  p.Stat("l1");
}

PXFS_SCENARIO(Symlinks) {
  p.Make("target", "content");
  for (const char* target :
       {"target", "./target", "../Symlinks/target", "missing", "/", ".", "a b\n\xff"}) {
    p.Symlink(target, "link");
    p.Stat("link");
    p.StatFollow("link");
    p.Readlink("link");
    p.Symlink(target, "link");
    p.Unlink("link");
  }
  p.Symlink("", "empty");
  p.Symlink("x", "missing/link");
  for (const size_t length : {1, 59, 60, 61, 255, 1'023, 4'000, 4'094, 4'095, 4'096}) {
    const std::string name = "long" + std::to_string(length);
    p.Symlink(std::string(length, 't'), name);
    p.Stat(name);
    p.Readlink(name);
  }
  p.Readlink("target");
  p.Readlink("missing");
  p.Mkdir("d");
  p.Readlink("d");
  p.Symlink("d", "to_d");
  p.Make("to_d/file", "through the link");
  p.Content("d/file");
  p.Do("readlink into a small buffer", [] {
    char buffer[3];
    return ::readlink("to_d", buffer, 1);
  });
}

PXFS_SCENARIO(SymlinkChains) {
  p.Make("end", "reached");
  std::string target = "end";
  for (int i = 0; i < 45; ++i) {
    const std::string name = "s" + std::to_string(i);
    if (::symlink(target.c_str(), name.c_str()) != 0) p.Note("symlink failed");
    target = name;
  }
  p.StatFollow("s38");
  p.StatFollow("s39");
  p.StatFollow("s40");
  p.StatFollow("s44");
}

}  // namespace pxfs::test
