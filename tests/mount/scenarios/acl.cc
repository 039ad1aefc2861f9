// POSIX ACLs, as the xattrs that carry them.
#include <endian.h>

#include "tests/mount/scenario.h"

namespace pxfs::test {
namespace {

constexpr const char* kAccess = "system.posix_acl_access";
constexpr const char* kDefault = "system.posix_acl_default";

struct Entry {
  uint16_t tag;  // 1 owner, 2 user, 4 owning group, 8 group, 16 mask, 32 others
  uint16_t permissions;
  uint32_t id = 0xffffffffu;
};

// The form in which the kernel takes and gives them.
std::string Acl(const std::vector<Entry>& entries) {
  std::string bytes;
  const auto put = [&](uint64_t value, size_t size) {
    for (size_t i = 0; i < size; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
  };
  put(2, 4);
  for (const Entry& entry : entries) {
    put(entry.tag, 2);
    put(entry.permissions, 2);
    put(entry.id, 4);
  }
  return bytes;
}

const std::string kUser1000 = Acl({{1, 6}, {2, 6, 1000}, {4, 4}, {16, 6}, {32, 0}});

}  // namespace

PXFS_SCENARIO(AclAccess) {
  p.Make("f", "shared with 1000", 0640);
  p.GetXattr("f", kAccess);
  p.SetXattr("f", kAccess, kUser1000);
  p.Stat("f");  // the group bits show the mask
  p.GetXattr("f", kAccess);
  p.ListXattrs("f");
  p.Become(1000, 1000);
  p.Content("f");
  p.Close(p.Open("f", O_RDWR));
  p.Become(1001, 1001);
  p.Content("f");
  p.Become(0, 0);
  p.Chmod("f", 0604);  // changes the mask
  p.GetXattr("f", kAccess);
  p.Become(1000, 1000);
  p.Content("f");
  p.Become(0, 0);
  p.RemoveXattr("f", kAccess);
  p.Stat("f");
  p.RemoveXattr("f", kAccess);
  p.GetXattr("f", kAccess);
}

PXFS_SCENARIO(AclThatIsAMode) {
  p.Make("f", "x", 0600);
  p.SetXattr("f", kAccess, Acl({{1, 7}, {4, 5}, {32, 4}}));
  p.Stat("f");
  p.GetXattr("f", kAccess);
  p.ListXattrs("f");
}

PXFS_SCENARIO(AclByGroups) {
  p.Make("f", "x", 0600);
  p.SetXattr("f", kAccess, Acl({{1, 6}, {4, 0}, {8, 4, 2000}, {8, 6, 3000}, {16, 6}, {32, 0}}));
  for (const std::vector<gid_t>& groups : {std::vector<gid_t>{}, {2000}, {3000}, {2000, 3000}}) {
    p.Become(1000, 1000, groups);
    p.Close(p.Open("f", O_RDONLY));
    p.Close(p.Open("f", O_WRONLY));
    p.Close(p.Open("f", O_RDWR));
    p.Become(0, 0);
  }
}

PXFS_SCENARIO(AclDefaultIsInherited) {
  p.Mkdir("d");
  p.SetXattr("d", kDefault, Acl({{1, 7}, {2, 7, 1000}, {4, 5}, {16, 7}, {32, 0}}));
  p.GetXattr("d", kDefault);
  p.Umask(077);  // ignored below a default ACL
  p.Make("d/file", "x", 0666);
  p.Make("d/narrow", "x", 0600);
  p.Mkdir("d/sub", 0777);
  p.Mknod("d/fifo", S_IFIFO | 0666);
  p.Symlink("t", "d/link");
  p.Fstat(p.Open("d", O_TMPFILE | O_RDWR, 0666));
  p.Tree("d");
  p.Make("d/sub/deep", "x", 0666);
  p.Tree("d/sub");
  p.Become(1000, 1000);
  p.Content("d/file");
  p.Content("d/narrow");
  p.Make("d/sub/of1000", "x", 0644);
  p.Become(0, 0);
  p.Stat("d/sub/of1000");
  p.RemoveXattr("d", kDefault);
  p.Make("d/after", "x", 0666);
  p.Stat("d/after");
}

PXFS_SCENARIO(AclRefused) {
  p.Make("f", "x", 0644);
  p.Make("roots", "x", 0644);
  p.Chown("f", 1000, 1000);
  p.SetXattr("f", kDefault, kUser1000);  // files have none
  p.SetXattr("f", kAccess, "garbage");
  p.SetXattr("f", kAccess,
             Acl({{1, 6}, {2, 6, 1000}, {4, 4}, {32, 0}}));  // named entry without a mask
  p.SetXattr("f", kAccess, Acl({{32, 6}, {1, 4}, {4, 0}}));  // out of order
  p.SetXattr("f", kAccess, Acl({{1, 9}, {4, 4}, {32, 0}}));  // no such permission
  p.Symlink("f", "link");
  p.SetXattr("link", kAccess, kUser1000);
  p.Become(1000, 1000);
  p.SetXattr("roots", kAccess, kUser1000);
  p.SetXattr("f", kAccess, kUser1000);
  p.Stat("f");
  p.Become(0, 0);
}

PXFS_SCENARIO(AclChmodUpdatesIt) {
  p.Make("f", "x", 0644);
  p.SetXattr("f", kAccess, Acl({{1, 6}, {2, 7, 1000}, {4, 4}, {16, 7}, {32, 4}}));
  for (const mode_t mode : {0700, 0777, 0640, 0000, 04755}) {
    p.Chmod("f", mode);
    p.Stat("f");
    p.GetXattr("f", kAccess);
  }
}

// As with chmod(2): who is not in the file's group leaves no setgid behind.
PXFS_SCENARIO(AclAndSetgid) {
  const std::string lists[] = {kUser1000, Acl({{1, 7}, {4, 5}, {32, 5}}),
                               Acl({{1, 7}, {2, 7, 1001}, {4, 7}, {16, 7}, {32, 5}})};
  for (const mode_t mode : {02755, 06755, 02644, 04755, 03775}) {
    for (const std::string& list : lists) {
      for (const int who : {0, 1, 2}) {
        p.Make("f", "x");
        p.Mkdir("d");
        for (const char* name : {"f", "d"}) {
          p.Chown(name, 1000, 2000);
          p.Chmod(name, mode);
        }
        if (who > 0)
          p.Become(1000, 1000, who == 1 ? std::vector<gid_t>{} : std::vector<gid_t>{2000});
        for (const char* name : {"f", "d"}) {
          p.SetXattr(name, kAccess, list);
          p.Stat(name);
          p.GetXattr(name, kAccess);
          p.RemoveXattr(name, kAccess);
          p.Stat(name);
        }
        p.SetXattr("d", kDefault, list);
        p.Stat("d");
        p.Become(0, 0);
        p.Unlink("f");
        p.Rmdir("d");
      }
    }
  }
}

PXFS_SCENARIO(AclInheritedInASetgidDirectory) {
  for (const int who : {0, 1, 2}) {
    p.Mkdir("d");
    p.Chown("d", 1000, 2000);
    p.Chmod("d", 02777);
    p.SetXattr("d", kDefault, Acl({{1, 7}, {2, 6, 1001}, {4, 7}, {16, 7}, {32, 5}}));
    for (const mode_t mask : {0, 022, 077}) {
      p.Umask(mask);
      if (who > 0) p.Become(1000, 1000, who == 1 ? std::vector<gid_t>{} : std::vector<gid_t>{2000});
      for (const mode_t mode : {0666, 0777, 02777, 06775, 0600}) {
        p.Close(p.Open("d/f", O_WRONLY | O_CREAT | O_EXCL, mode));
        p.Mkdir("d/d", mode);
        p.Mknod("d/p", S_IFIFO | mode);
        p.Symlink("t", "d/s");
        for (const char* name : {"d/f", "d/d", "d/p", "d/s"}) {
          p.Stat(name);
          p.GetXattr(name, kAccess);
          p.GetXattr(name, kDefault);
        }
        for (const char* name : {"d/f", "d/p", "d/s"}) p.Unlink(name);
        p.Rmdir("d/d");
      }
      p.Become(0, 0);
    }
    p.Rmdir("d");
  }
}

}  // namespace pxfs::test
