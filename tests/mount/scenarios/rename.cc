// rename(2): every kind onto every kind, with and without flags.
#include "tests/mount/scenario.h"

namespace pxfs::test {
namespace {

constexpr const char* kKinds[] = {"missing", "file", "empty", "full", "symlink", "fifo"};

// Makes `path` something of this kind: a directory is empty or full.
void MakeKind(Probe& p, const std::string& kind, const std::string& path) {
  if (kind == "file") p.Make(path, "content of " + path);
  if (kind == "empty" || kind == "full") p.Mkdir(path);
  if (kind == "full") p.Make(path + "/inside", "inside " + path);
  if (kind == "symlink") p.Symlink("target of " + path, path);
  if (kind == "fifo") p.Mknod(path, S_IFIFO | 0640);
}

void Matrix(Probe& p, unsigned flags) {
  for (const char* from : kKinds) {
    for (const char* to : kKinds) {
      const std::string directory = std::string(from) + "-" + to;
      p.Mkdir(directory);
      p.Mkdir(directory + "/other");
      MakeKind(p, from, directory + "/a");
      MakeKind(p, to, directory + "/other/b");
      p.Rename(directory + "/a", directory + "/other/b", flags);
      p.Tree(directory);
    }
  }
}

}  // namespace

PXFS_SCENARIO(RenameEveryKindOntoEveryKind) { Matrix(p, 0); }
PXFS_SCENARIO(RenameNoReplace) { Matrix(p, RENAME_NOREPLACE); }
PXFS_SCENARIO(RenameExchange) { Matrix(p, RENAME_EXCHANGE); }

PXFS_SCENARIO(RenameBadFlags) {
  p.Make("a");
  p.Make("b");
  p.Rename("a", "b", RENAME_NOREPLACE | RENAME_EXCHANGE);
  p.Rename("a", "b", 1u << 20);
  p.List(".");
}

PXFS_SCENARIO(RenameIntoItself) {
  p.Mkdir("d");
  p.Mkdir("d/sub");
  p.Mkdir("d/sub/deep");
  p.Rename("d", "d/sub/x");
  p.Rename("d", "d/sub/deep");
  p.Rename("d", "d");
  p.Rename("d/sub/deep", "d");
  p.Rename("d/sub/deep", "d", RENAME_EXCHANGE);
  p.Rename("d", "d/sub/deep", RENAME_EXCHANGE);
  p.Rename("d/.", "x");
  p.Rename("d/..", "x");
  p.Rename("d", "d/..");
  p.Rename(".", "x");
  p.Tree(".");
}

PXFS_SCENARIO(RenameHardLinksOfOneFile) {
  p.Make("a", "x");
  p.Link("a", "b");
  p.Rename("a", "b");
  p.List(".");
  p.Rename("a", "b", RENAME_NOREPLACE);
  p.Rename("a", "b", RENAME_EXCHANGE);
  p.Rename("a", "a", RENAME_NOREPLACE);
  p.Rename("a", "a", RENAME_EXCHANGE);
  p.Rename("a", "c");
  p.Stat("b");
  p.Stat("c");
  p.List(".");
}

PXFS_SCENARIO(RenameMissingPlaces) {
  p.Make("a");
  p.Rename("missing", "b");
  p.Rename("a", "missing/b");
  p.Rename("missing/a", "b");
  p.Rename("a", "a/b");
  p.Rename("a/b", "c");
  p.Rename("", "b");
  p.Rename("a", "");
  p.List(".");
}

PXFS_SCENARIO(RenameWhileOpen) {
  const int a = p.Open("a", O_RDWR | O_CREAT);
  const int b = p.Open("b", O_RDWR | O_CREAT);
  p.Write(a, "was a");
  p.Write(b, "was b");
  p.Rename("a", "b");
  p.Write(a, ", now b");
  p.Write(b, ", now nameless");
  p.Fstat(a);
  p.Fstat(b);
  p.Pread(b, 100, 0);
  p.Content("b");
  p.Mkdir("d");
  const int d = p.Open("d", O_RDONLY | O_DIRECTORY);
  p.Rename("d", "e");
  p.Do("openat in the renamed directory", [&] {
    const int fd = ::openat(d, "new", O_WRONLY | O_CREAT, 0644);
    return fd < 0 ? -1 : ::close(fd);
  });
  p.List("e");
}

PXFS_SCENARIO(RenameReplacesAtomicallyForReaders) {
  p.Make("current", "version 0");
  const int fd = p.Open("current", O_RDONLY);
  for (int i = 1; i <= 20; ++i) {
    p.Make("next", "version " + std::to_string(i));
    p.Rename("next", "current");
    p.Content("current");
  }
  p.Pread(fd, 100, 0);
  p.Fstat(fd);
  p.List(".");
}

PXFS_SCENARIO(RenameAcrossDirectoriesMovesTheParent) {
  p.Mkdir("a");
  p.Mkdir("b");
  p.Mkdir("a/moving");
  p.Make("a/moving/file", "x");
  p.Make("b/marker", "in b");
  p.Rename("a/moving", "b/moving");
  p.Content("b/moving/../marker");
  p.Stat("a");
  p.Stat("b");
  p.Mkdir("a/left");
  p.Make("a/left/l");
  p.Mkdir("b/right");
  p.Make("b/right/r");
  p.Rename("a/left", "b/right", RENAME_EXCHANGE);
  p.Tree(".");
  p.Make("a/plain", "file");
  p.Rename("a/plain", "b/moving", RENAME_EXCHANGE);
  p.Stat("a");
  p.Stat("b");
  p.Content("a/plain/../left/r");
  p.Tree(".");
}

PXFS_SCENARIO(RenameChangesTimes) {
  p.Mkdir("from");
  p.Mkdir("to");
  p.Make("from/a", "x");
  p.Times("from");
  p.Times("to");
  p.Times("from/a");
  p.Tick();
  p.Rename("from/a", "to/b");
  p.Times("from");
  p.Times("to");
  p.Times("to/b");
  p.Make("to/old");
  p.Link("to/old", "to/second");
  p.Times("to/second");
  p.Tick();
  p.Rename("to/b", "to/old");
  p.Times("from");
  p.Times("to");
  p.Times("to/old");
  p.Times("to/second");
}

}  // namespace pxfs::test
