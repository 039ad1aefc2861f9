// Whose rights count: file system ids, user namespaces; and what Linux protects in directories that
// everybody may write.
#include <grp.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/mount/scenario.h"

namespace pxfs::test {
namespace {

long WriteText(const char* path, const std::string& text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  const ssize_t n = ::write(fd, text.data(), text.size());
  ::close(fd);
  return n == static_cast<ssize_t>(text.size()) ? 0 : -1;
}

}  // namespace

PXFS_SCENARIO(IdentityByFsuid) {
  p.Mkdir("open");
  p.Chmod("open", 0777);
  p.Make("secret", "x", 0600);
  p.Make("mine", "x", 0600);
  p.Chown("mine", 1000, 1000);
  ::setfsgid(1000);
  ::setfsuid(1000);
  p.Content("secret");
  p.Content("mine");
  p.Make("open/f", "x");
  p.Mkdir("open/d");
  p.Mknod("open/p", S_IFIFO | 0600);
  p.Symlink("t", "open/s");
  p.Mknod("open/c", S_IFCHR | 0600, 0x103);
  p.Make("f", "x");
  p.Chmod("secret", 0644);
  p.Chmod("mine", 0644);
  p.Access("secret", R_OK);              // by the real id: root
  p.Access("secret", R_OK, AT_EACCESS);  // by that of the file system
  ::setfsuid(0);
  ::setfsgid(0);
  p.Content("secret");
  p.Tree("open");
}

PXFS_SCENARIO(IdentityInAUserNamespace) {
  p.Mkdir("open");
  p.Chmod("open", 0777);
  p.Make("roots", "x", 0644);
  p.Make("secret", "x", 0600);
  p.Make("mine", "x", 0644);
  p.Chown("mine", 1000, 1000);
  p.Make("program", "x", 04755);
  p.Chmod("program", 06777);
  p.Do("to be 1000", [] {
    return ::setgroups(0, nullptr) || ::setresgid(1000, 1000, 1000) ||
                   ::setresuid(1000, 1000, 1000) || ::prctl(PR_SET_DUMPABLE, 1)
               ? -1
               : 0;
  });
  p.Do("unshare", [] { return ::unshare(CLONE_NEWUSER); });
  p.Do("setgroups", [] { return WriteText("/proc/self/setgroups", "deny"); });
  p.Do("uid_map", [] { return WriteText("/proc/self/uid_map", "0 1000 1"); });
  p.Do("gid_map", [] { return WriteText("/proc/self/gid_map", "0 1000 1"); });
  for (const char* name : {"roots", "secret", "mine", "program", "open", "."}) p.Stat(name);
  p.Content("roots");
  p.Content("secret");
  p.Content("mine");
  p.Make("open/f", "x");
  p.Mkdir("open/d");
  p.Symlink("t", "open/s");
  p.Mknod("open/p", S_IFIFO | 0600);
  p.Mknod("open/c", S_IFCHR | 0600, 0x103);
  p.Chown("open/f", 0, 0);
  p.Chown("open/f", 1, 1);
  p.Chown("roots", 0, 0);
  p.Chmod("open/f", 06755);
  p.Chmod("mine", 0600);
  p.Chmod("roots", 0600);
  p.Make("program", "written");
  p.SetXattr("open/f", "user.a", "1");
  p.SetXattr("open/f", "trusted.a", "1");
  p.GetXattr("open/f", "trusted.a");
  p.Rename("open/f", "open/g");
  p.Utimens("mine", {1, 1}, {2, 2});
  p.Utimens("roots", {1, 1}, {2, 2});
  p.Make("new", "x");
  p.Tree("open");
  p.Stat("program");
}

PXFS_SCENARIO(ProtectedInStickyDirectories) {
  // Whatever fs.protected_* say here, they say it of both sides.
  p.Mkdir("t");
  p.Chmod("t", 01777);
  p.Make("target", "x", 0666);
  p.Chmod("target", 0666);
  p.Become(1001, 1001);
  p.Make("t/theirs", "x", 0666);
  p.Symlink("../target", "t/link");
  p.Mknod("t/fifo", S_IFIFO | 0666);
  p.Become(0, 0);
  p.Chmod("t/theirs", 0666);
  p.Chmod("t/fifo", 0666);
  p.Make("t/setuid", "x");
  p.Chmod("t/setuid", 04777);
  p.Make("t/readable", "x", 0644);
  p.Make("t/closed", "x", 0600);
  for (const uid_t uid : {0u, 1000u, 1001u}) {
    p.Become(uid, uid);
    p.Close(p.Open("t/theirs", O_RDWR | O_CREAT));
    p.Close(p.Open("t/theirs", O_RDWR));
    p.Close(p.Open("t/fifo", O_RDWR | O_CREAT | O_NONBLOCK));
    p.Close(p.Open("t/link", O_RDWR));
    p.StatFollow("t/link");
    for (const char* name :
         {"t/theirs", "t/setuid", "t/readable", "t/closed", "t/fifo", "t/link"}) {
      p.Link(name, "t/linked");
      p.Unlink("t/linked");
    }
    p.Become(0, 0);
  }
}

// An idmapped mount of a directory: who is 1000 there is 0 below, and the reverse.
PXFS_SCENARIO(IdentityIdmappedMount) {
  p.Mkdir("d");
  p.Make("d/f", "x");
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return p.Note("no pipe");
  const pid_t child = ::fork();
  if (child == 0) {
    const char unshared = ::unshare(CLONE_NEWUSER) == 0 ? 'y' : 'n';
    (void)!::write(ends[1], &unshared, 1);
    for (;;) ::pause();
  }
  char unshared = 0;
  (void)!::read(ends[0], &unshared, 1);
  const std::string process = "/proc/" + std::to_string(child);
  p.Do("uid_map", [&] { return WriteText((process + "/uid_map").c_str(), "0 1000 1"); });
  p.Do("gid_map", [&] { return WriteText((process + "/gid_map").c_str(), "0 1000 1"); });
  const int users = ::open((process + "/ns/user").c_str(), O_RDONLY | O_CLOEXEC);
  const int tree = static_cast<int>(
      ::syscall(SYS_open_tree, AT_FDCWD, "d", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  p.Try("open_tree", [&] { return tree; });
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.userns_fd = static_cast<uint64_t>(users);
  p.Do("mount_setattr", [&] {
    return ::syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes);
  });
  struct stat st;
  if (::fstatat(tree, "f", &st, 0) == 0) p.Note("owner " + std::to_string(st.st_uid));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

}  // namespace pxfs::test
