// Who may do what: permission bits for owner, group, others and supplementary groups.
#include "tests/mount/scenario.h"

namespace pxfs::test {
namespace {

struct User {
  uid_t uid;
  gid_t gid;
  std::vector<gid_t> groups;
};

}  // namespace

PXFS_SCENARIO(AccessByModeAndUser) {
  const User users[] = {
      {0, 0, {}}, {1000, 1000, {}}, {1001, 2000, {}}, {1001, 1001, {2000}}, {1002, 1002, {}}};
  for (const mode_t mode :
       {0000, 0400, 0200, 0100, 0040, 0020, 0010, 0004, 0002, 0001, 0077, 0707, 0770, 0644}) {
    const std::string name = "f" + std::to_string(mode);
    p.Make(name, "x");
    p.Chown(name, 1000, 2000);
    p.Chmod(name, mode);
    for (const User& user : users) {
      p.Become(user.uid, user.gid, user.groups);
      for (const int kind : {R_OK, W_OK, X_OK}) {
        p.Access(name, kind);
        p.Access(name, kind, AT_EACCESS);
      }
      p.Close(p.Open(name, O_RDONLY));
      p.Close(p.Open(name, O_WRONLY));
      p.Become(0, 0);
    }
  }
}

PXFS_SCENARIO(AccessToDirectories) {
  const User users[] = {{1000, 1000, {}}, {1001, 1001, {2000}}, {1002, 1002, {}}};
  for (const mode_t mode : {0700, 0070, 0007, 0500, 0300, 0100, 0711, 0733, 0744, 0000}) {
    const std::string name = "d" + std::to_string(mode);
    p.Mkdir(name);
    p.Make(name + "/file", "x", 0666);
    p.Chown(name, 1000, 2000);
    p.Chmod(name, mode);
    for (const User& user : users) {
      p.Become(user.uid, user.gid, user.groups);
      p.List(name);
      p.Stat(name + "/file");
      p.Stat(name + "/missing");
      p.Close(p.Open(name + "/file", O_RDONLY));
      p.Close(p.Open(name + "/new", O_WRONLY | O_CREAT));
      p.Unlink(name + "/new");
      p.Mkdir(name + "/sub");
      p.Rmdir(name + "/sub");
      p.Symlink("t", name + "/s");
      p.Unlink(name + "/s");
      p.Link(name + "/file", name + "/l");
      p.Rename(name + "/l", name + "/m");
      p.Unlink(name + "/m");
      p.Become(0, 0);
    }
  }
}

PXFS_SCENARIO(AccessAlongAPath) {
  p.Mkdir("a");
  p.Mkdir("a/b");
  p.Mkdir("a/b/c");
  p.Make("a/b/c/file", "x", 0644);
  for (const mode_t mode : {0755, 0711, 0700, 0744}) {
    p.Chmod("a/b", mode);
    p.Become(1000, 1000);
    p.Stat("a/b/c/file");
    p.Content("a/b/c/file");
    p.StatFollow("a/b/c/../../b");
    p.List("a/b");
    p.Become(0, 0);
  }
}

PXFS_SCENARIO(AccessAfterAChangeIsImmediate) {
  p.Make("f", "x", 0644);
  p.Become(1000, 1000);
  p.Content("f");
  p.Become(0, 0);
  p.Chmod("f", 0600);
  p.Become(1000, 1000);
  p.Content("f");
  p.Access("f", R_OK);
  p.Become(0, 0);
  p.Chown("f", 1000, 1000);
  p.Become(1000, 1000);
  p.Content("f");
}

PXFS_SCENARIO(AccessOfAnOpenDescriptorLasts) {
  p.Make("f", "kept", 0644);
  p.Become(1000, 1000);
  const int fd = p.Open("f", O_RDONLY);
  p.Become(0, 0);
  p.Chmod("f", 0600);
  p.Become(1000, 1000);
  p.Read(fd, 10);
  p.Open("f", O_RDONLY);
}

PXFS_SCENARIO(AccessToMany) {
  // More supplementary groups than fit into a single small reply.
  std::vector<gid_t> groups;
  for (gid_t group = 3000; group < 3060; ++group) groups.push_back(group);
  p.Make("f", "for the last group", 0640);
  p.Chown("f", 0, 3059);
  p.Become(1000, 1000, groups);
  p.Content("f");
  groups.pop_back();
  p.Become(1000, 1000, groups);
  p.Content("f");
}

}  // namespace pxfs::test
