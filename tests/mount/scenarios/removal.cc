// Who may take away or replace a name: sticky directories, directories that change their parent,
// renames of everything over everything.
#include <signal.h>
#include <sys/wait.h>

#include <cstdlib>

#include "tests/mount/scenario.h"

namespace pxfs::test {
namespace {

const char* const kKinds[] = {"file", "dir", "full", "link", "fifo", "missing"};

void MakeKind(Probe& p, const std::string& kind, const std::string& name) {
  if (kind == "file") p.Make(name, name);
  if (kind == "dir" || kind == "full") p.Mkdir(name);
  if (kind == "full") p.Make(name + "/inside", "x");
  if (kind == "link") p.Symlink("t", name);
  if (kind == "fifo") p.Mknod(name, S_IFIFO | 0600);
}

}  // namespace

PXFS_SCENARIO(RemovalByRenamingEverythingOverEverything) {
  for (const std::string from : kKinds) {
    for (const std::string to : kKinds) {
      for (const unsigned flags : {0u, unsigned{RENAME_NOREPLACE}, unsigned{RENAME_EXCHANGE}}) {
        p.Mkdir("w");
        p.Mkdir("w/other");
        MakeKind(p, from, "w/a");
        MakeKind(p, to, "w/b");
        MakeKind(p, to, "w/other/b");
        p.Note(from + " over " + to);
        p.Rename("w/a", "w/b", flags);
        p.Stat("w");
        p.Rename("w/b", "w/other/b", flags);
        p.Stat("w");
        p.Stat("w/other");
        p.Tree("w");
        p.Rename("w", "gone");
        p.Rename("gone", "gone/below");
        p.Rename("gone", "gone/other/below");
        for (const char* name : {"a", "b", "other/b"}) {
          const std::string path = std::string("gone/") + name;
          ::unlink((path + "/inside").c_str());
          ::unlink(path.c_str());
          ::rmdir(path.c_str());
        }
        p.Rmdir("gone/other");
        p.Rmdir("gone");
      }
    }
  }
}

PXFS_SCENARIO(RemovalInStickyDirectories) {
  for (const uid_t directory_owner : {0u, 1000u, 1001u}) {
    for (const uid_t owner : {0u, 1000u, 1001u}) {
      p.Mkdir("t");
      p.Chmod("t", 01777);
      p.Mkdir("free");
      p.Chmod("free", 0777);
      for (const char* name : {"t/f", "t/g", "t/h", "free/f"}) {
        p.Make(name, "x", 0666);
        p.Chown(name, owner, owner);
      }
      p.Mkdir("t/d", 0777);
      p.Chmod("t/d", 0777);
      p.Chown("t/d", owner, owner);
      p.Chown("t", directory_owner, directory_owner);
      p.Become(1000, 1000);
      p.Unlink("t/f");
      p.Rename("t/g", "t/renamed");
      p.Rename("t/g", "free/moved");
      p.Rename("free/f", "t/h");
      p.Rename("t/d", "t/e");
      p.Rename("t/e", "free/e");
      p.Rmdir("t/d");
      p.Rmdir("t/e");
      p.Rename("t/h", "t/d", RENAME_EXCHANGE);
      p.SetXattr("t", "user.a", "1");
      p.Become(0, 0);
      p.Tree("t");
      p.Tree("free");
      p.Do("clean", [] { return ::system("rm -rf t free"); });
    }
  }
}

PXFS_SCENARIO(RemovalOfDirectoriesOfOthers) {
  // A directory that gets another parent must be writable; in the same parent it need not be.
  for (const mode_t mode : {0777, 0555}) {
    p.Mkdir("a");
    p.Chmod("a", 0777);
    p.Mkdir("b");
    p.Chmod("b", 0777);
    p.Mkdir("a/d");
    p.Chmod("a/d", mode);
    p.Become(1000, 1000);
    p.Rename("a/d", "a/e");
    p.Rename("a/e", "b/e");
    p.Become(0, 0);
    p.Tree(".");
    p.Do("clean", [] { return ::system("rm -rf a b"); });
  }
}

PXFS_SCENARIO(RemovalWithoutRights) {
  p.Mkdir("d");
  p.Make("d/f", "x", 0666);
  p.Mkdir("d/e", 0777);
  for (const mode_t mode : {0755, 0777, 0776, 0773, 0774, 0770}) {
    p.Chmod("d", mode);
    p.Become(1000, 1000);
    p.Unlink("d/missing");
    p.Rmdir("d/missing");
    p.Unlink("d/e");
    p.Rmdir("d/f");
    p.Rename("d/f", "d/g");
    p.Rename("d/g", "d/f");
    p.Rename("d/missing", "d/g");
    p.Mkdir("d/f");
    p.Make("d/new", "");
    p.Unlink("d/new");
    p.Mknod("d/c", S_IFCHR | 0600, 0x103);
    p.Mknod("d/b", S_IFBLK | 0600, 0x700);
    p.Become(0, 0);
  }
  p.Tree("d");
}

PXFS_SCENARIO(RemovalOfARunningProgram) {
  p.Do("copy", [] { return ::system("cp /bin/sleep program"); });
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return p.Note("no pipe");
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl("program", "program", "100", nullptr);
    ::_exit(1);
  }
  ::close(ends[1]);
  char byte;
  p.Do("wait for execve", [&] { return ::read(ends[0], &byte, 1); });
  p.Close(p.Open("program", O_WRONLY));
  p.Close(p.Open("program", O_RDWR | O_TRUNC));
  p.Truncate("program", 0);
  p.Close(p.Open("program", O_RDONLY));
  p.Chmod("program", 0700);
  p.Link("program", "linked");
  p.Close(p.Open("linked", O_WRONLY));
  p.Rename("program", "renamed");
  p.Unlink("renamed");
  p.Close(p.Open("linked", O_WRONLY));
  p.Unlink("linked");
  p.Do("kill", [&] { return ::kill(child, 9); });
  int status = 0;
  ::waitpid(child, &status, 0);
  p.Note("status " + std::to_string(status));
  p.Do("copy", [] { return ::system("cp /bin/true program"); });
  const int writer = p.Open("program", O_WRONLY);
  p.Do("run while it is written", [] { return ::system("./program 2>/dev/null"); });
  p.Close(writer);
}

}  // namespace pxfs::test
