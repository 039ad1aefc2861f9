// Paths: how long they and their parts may be, trailing slashes, "." and "..", loops of symlinks.
#include "tests/mount/scenario.h"

namespace pxfs::test {
namespace {

// A relative path to `name` of exactly `size` bytes.
std::string PathOf(size_t size, const std::string& name) {
  std::string path;
  while (path.size() + name.size() + 2 <= size) path += "./";
  if (path.size() + name.size() < size) path += "/";
  return path + name;
}

}  // namespace

PXFS_SCENARIO(PathsOfTheGreatestLength) {
  for (const size_t size : {4094, 4095, 4096, 5000}) {
    const std::string path = PathOf(size, "f");
    p.Make(path, "x");
    p.Stat(path);
    p.Rename(path, PathOf(size, "g"));
    p.Link(PathOf(size, "g"), PathOf(size, "l"));
    p.Symlink("g", PathOf(size, "s"));
    p.Readlink(PathOf(size, "s"));
    p.Mkdir(PathOf(size, "d"));
    p.Mknod(PathOf(size, "p"), S_IFIFO | 0600);
    p.Chmod(PathOf(size, "g"), 0600);
    p.Truncate(PathOf(size, "g"), 0);
    p.List(".");
    for (const char* name : {"g", "l", "s", "p"}) p.Unlink(PathOf(size, name));
    p.Rmdir(PathOf(size, "d"));
  }
  for (const size_t size : {1, 2, 59, 60, 61, 254, 255, 256, 1023, 4094, 4095, 4096}) {
    p.Symlink(std::string(size, 't'), "s");
    p.Readlink("s");
    p.Stat("s");
    p.Unlink("s");
  }
}

PXFS_SCENARIO(NamesOfTheGreatestLength) {
  for (const size_t size : {254, 255, 256, 300}) {
    for (const char byte : {'n', '\xff', '\n', '\x01'}) {
      const std::string name(size, byte);
      p.Make(name, "x");
      p.Stat(name);
      p.Make("f", "y");
      p.Link("f", name);
      p.Rename("f", name);
      p.Unlink(name);
      p.Mkdir(name);
      p.Stat(name + "/x");
      p.Rmdir(name);
      p.Symlink("t", name);
      p.Unlink(name);
      p.Mknod(name, S_IFIFO | 0600);
      p.Unlink(name);
      p.Unlink("f");
      p.SetXattr(".", "user." + std::string(size - 5, byte), "v");
      p.RemoveXattr(".", "user." + std::string(size - 5, byte));
    }
  }
}

PXFS_SCENARIO(PathsWithTrailingSlashes) {
  p.Make("f", "x");
  p.Mkdir("d");
  p.Symlink("d", "to_d");
  p.Symlink("f", "to_f");
  p.Symlink("missing", "dangling");
  for (const std::string name : {"f/", "d/", "to_d/", "to_f/", "dangling/", "missing/", "f/.",
                                 "d/.", "to_d/.", "d/..", "missing/..", "f/..", "d//", "d/./"}) {
    p.Note("now " + name);
    p.Stat(name);
    p.StatFollow(name);
    p.Close(p.Open(name, O_RDONLY));
    p.Close(p.Open(name, O_WRONLY | O_CREAT));
    p.Mknod(name, S_IFIFO | 0600);
    p.Symlink("t", name);
    p.Link("f", name);
    p.Link(name, "linked");
    p.Readlink(name);
    p.Truncate(name, 1);
    p.Unlink(name);
    p.Rename("f", name);
    p.Rename(name, "renamed");
    p.Rename("renamed", name);
    p.Mkdir(name);
    p.Rmdir(name);
    p.List(".");
  }
}

PXFS_SCENARIO(PathsOfDots) {
  p.Mkdir("d");
  p.Mkdir("d/e");
  for (const std::string name :
       {".", "..", "d/.", "d/..", "d/e/..", "d/e/.", "d/e/../.", "./d/../d/e/.."}) {
    p.Note("now " + name);
    p.Rmdir(name);
    p.Unlink(name);
    p.Mkdir(name);
    p.Rename(name, "x");
    p.Rename("d", name);
    p.Rename(name, "x", RENAME_NOREPLACE);
    p.Rename(name, "d", RENAME_EXCHANGE);
    p.Link(name, "x");
    p.Symlink("t", name);
    p.Mknod(name, S_IFIFO | 0600);
    p.Close(p.Open(name, O_WRONLY | O_CREAT));
    p.Close(p.Open(name, O_RDONLY | O_CREAT | O_EXCL));
  }
  p.List("d");
}

PXFS_SCENARIO(PathsThroughLoops) {
  p.Symlink("self", "self");
  p.Symlink("b", "a");
  p.Symlink("a", "b");
  p.Mkdir("d");
  p.Make("d/f", "x");
  std::string last = "d";
  for (int i = 0; i < 42; ++i) {
    const std::string name = "l" + std::to_string(i);
    p.Symlink(last, name);
    last = name;
  }
  for (const std::string path :
       {"self", "self/x", "a", "b/c", "l38/f", "l39/f", "l40/f", "l41/f"}) {
    p.Note("now " + path);
    p.Stat(path);
    p.StatFollow(path);
    p.Close(p.Open(path, O_RDONLY));
    p.Close(p.Open(path, O_RDONLY | O_NOFOLLOW));
    p.Close(p.Open(path, O_RDWR | O_CREAT));
    p.Chmod(path, 0600);
    p.Truncate(path, 0);
    p.Access(path, R_OK);
    p.Rename(path, "other");
    p.Rename("other", path);
  }
}

PXFS_SCENARIO(PathsThroughWhatIsNoDirectory) {
  p.Make("f", "x");
  p.Mknod("p", S_IFIFO | 0600);
  p.Symlink("f", "s");
  for (const std::string name : {"f/x", "p/x", "s/x", "missing/x"}) {
    p.Stat(name);
    p.Make(name, "");
    p.Mkdir(name);
    p.Rmdir(name);
    p.Unlink(name);
    p.Rename("f", name);
    p.Rename(name, "y");
    p.Link("f", name);
    p.Symlink("t", name);
    p.Readlink(name);
    p.Chmod(name, 0600);
    p.Chown(name, 1, 1);
    p.Utimens(name, {1, 1}, {1, 1});
    p.Truncate(name, 0);
    p.GetXattr(name, "user.a");
    p.List(name);
  }
}

}  // namespace pxfs::test
