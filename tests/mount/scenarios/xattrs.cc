// Extended attributes.
#include "tests/mount/scenario.h"

namespace pxfs::test {

PXFS_SCENARIO(XattrCreateReplaceRemove) {
  p.Make("f", "x");
  p.GetXattr("f", "user.a");
  p.ListXattrs("f");
  p.SetXattr("f", "user.a", "one");
  p.GetXattr("f", "user.a");
  p.SetXattr("f", "user.a", "two", XATTR_CREATE);
  p.SetXattr("f", "user.a", "two", XATTR_REPLACE);
  p.GetXattr("f", "user.a");
  p.SetXattr("f", "user.b", "x", XATTR_REPLACE);
  p.SetXattr("f", "user.b", "", XATTR_CREATE);
  p.GetXattr("f", "user.b");
  p.SetXattr("f", "user.c", std::string("\0\x01\xff\n", 4));
  p.GetXattr("f", "user.c");
  p.ListXattrs("f");
  p.RemoveXattr("f", "user.a");
  p.RemoveXattr("f", "user.a");
  p.GetXattr("f", "user.a");
  p.ListXattrs("f");
  p.SetXattr("f", "user.d", "x", XATTR_CREATE | XATTR_REPLACE);
  p.SetXattr("f", "user.d", "x", 77);
  p.SetXattr("missing", "user.a", "x");
  p.GetXattr("missing", "user.a");
  p.ListXattrs("missing");
}

PXFS_SCENARIO(XattrBuffers) {
  p.Make("f", "x");
  p.SetXattr("f", "user.value", "0123456789");
  char buffer[64];
  p.Do("size of the value", [&] { return ::getxattr("f", "user.value", nullptr, 0); });
  p.Do("into 9 bytes", [&] { return ::getxattr("f", "user.value", buffer, 9); });
  p.Do("into 10 bytes", [&] { return ::getxattr("f", "user.value", buffer, 10); });
  p.Do("size of the list", [&] { return ::listxattr("f", nullptr, 0); });
  p.Do("list into 5 bytes", [&] { return ::listxattr("f", buffer, 5); });
  p.Do("list into 64 bytes", [&] { return ::listxattr("f", buffer, 64); });
}

PXFS_SCENARIO(XattrNames) {
  p.Make("f", "x");
  for (const std::string& name :
       {std::string("user."), std::string("user"), std::string(""), std::string("nonsense.a"),
        "user." + std::string(250, 'n'), "user." + std::string(251, 'n'), std::string("trusted.a"),
        std::string("security.pxfs"), std::string("user.\xff\x01"), std::string("user.a.b.c")}) {
    p.SetXattr("f", name, "value");
    p.GetXattr("f", name);
    p.RemoveXattr("f", name);
  }
  p.ListXattrs("f");
}

PXFS_SCENARIO(XattrSizes) {
  p.Make("f", "x");
  for (const size_t size : {0, 1, 255, 1'000, 3'000}) {
    p.SetXattr("f", "user.v", std::string(size, 'v'));
    p.GetXattr("f", "user.v");
  }
  p.SetXattr("f", "user.v", std::string(65'537, 'v'));
  p.GetXattr("f", "user.v");
}

PXFS_SCENARIO(XattrsOnEveryKind) {
  p.Mkdir("d");
  p.Symlink("d", "s");
  p.Mknod("p", S_IFIFO | 0600);
  for (const char* name : {"d", "s", "p"}) {
    p.SetXattr(name, "user.a", "value");
    p.GetXattr(name, "user.a");
    p.SetXattr(name, "trusted.a", "value");
    p.GetXattr(name, "trusted.a");
    p.ListXattrs(name);
  }
  p.Do("through the symlink", [] { return ::setxattr("s", "user.b", "v", 1, 0); });
  p.ListXattrs("d");
}

PXFS_SCENARIO(XattrsOfOthers) {
  p.Make("readable", "x", 0644);
  p.Make("private", "x", 0600);
  p.Make("mine", "x", 0644);
  p.Chown("mine", 1000, 1000);
  for (const char* name : {"readable", "private"}) {
    p.SetXattr(name, "user.a", "v");
    p.SetXattr(name, "trusted.a", "v");
  }
  p.Mkdir("sticky");
  p.Chmod("sticky", 01777);
  p.Become(1000, 1000);
  for (const char* name : {"readable", "private", "mine", "sticky"}) {
    p.GetXattr(name, "user.a");
    p.SetXattr(name, "user.a", "changed");
    p.GetXattr(name, "trusted.a");
    p.SetXattr(name, "trusted.a", "changed");
    p.ListXattrs(name);
    p.RemoveXattr(name, "user.a");
  }
}

PXFS_SCENARIO(XattrsFollowTheInode) {
  p.Make("a", "x");
  p.SetXattr("a", "user.tag", "kept");
  p.Link("a", "b");
  p.Rename("a", "c");
  p.GetXattr("b", "user.tag");
  p.GetXattr("c", "user.tag");
  p.Unlink("b");
  p.Unlink("c");
  p.Make("a", "anew");
  p.ListXattrs("a");
  const int fd = p.Open("a", O_RDONLY);
  p.Unlink("a");
  p.Do("fsetxattr of a nameless file", [&] { return ::fsetxattr(fd, "user.x", "v", 1, 0); });
  p.Do("fgetxattr", [&] {
    char value[4];
    return ::fgetxattr(fd, "user.x", value, sizeof value);
  });
}

PXFS_SCENARIO(XattrCapabilitiesAreDroppedByWriting) {
  p.Make("program", "#!/bin/sh\n", 0755);
  // cap_net_bind_service=ep, version 2
  const std::string capability(
      "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 20);
  p.SetXattr("program", "security.capability", capability);
  p.GetXattr("program", "security.capability");
  const int fd = p.Open("program", O_WRONLY | O_APPEND);
  p.Write(fd, "exit 0\n");
  p.Close(fd);
  p.GetXattr("program", "security.capability");
  p.SetXattr("program", "security.capability", capability);
  p.Chown("program", 1000, 1000);
  p.GetXattr("program", "security.capability");
  p.SetXattr("program", "security.capability", capability);
  p.Truncate("program", 3);
  p.GetXattr("program", "security.capability");
  p.SetXattr("program", "security.capability", "garbage");
}

PXFS_SCENARIO(ManyXattrs) {
  p.Make("f", "x");
  for (int i = 0; i < 60; ++i) p.SetXattr("f", "user.n" + std::to_string(i), std::to_string(i * i));
  p.ListXattrs("f");
  for (int i = 0; i < 60; i += 3) p.RemoveXattr("f", "user.n" + std::to_string(i));
  p.ListXattrs("f");
  p.GetXattr("f", "user.n1");
  p.GetXattr("f", "user.n3");
}

}  // namespace pxfs::test
