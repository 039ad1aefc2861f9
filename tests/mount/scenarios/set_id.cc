// setuid, setgid and security.capability: who loses them by which change of content or owner, and
// who keeps them.
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "tests/mount/scenario.h"

namespace pxfs::test {
namespace {

constexpr gid_t kFileGroup = 2000;
constexpr const char* kCapability = "security.capability";

// cap_net_raw+ep, as setcap(8) writes it.
std::string CapabilityValue() {
  vfs_cap_data data{};
  data.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE;
  data.data[0].permitted = 1u << CAP_NET_RAW;
  return {reinterpret_cast<const char*>(&data), XATTR_CAPS_SZ_2};
}

struct Actor {
  const char* what;
  uid_t uid;
  gid_t gid;
  std::vector<gid_t> groups;
  bool fsetid;  // has CAP_FSETID, which normally root has and others have not
};

const Actor kActors[] = {
    {"root", 0, 0, {}, true},
    {"root without CAP_FSETID", 0, 0, {}, false},
    {"root without CAP_FSETID, of the group", 0, 0, {kFileGroup}, false},
    {"the owner", 1000, 1000, {}, false},
    {"the owner, of the group", 1000, 1000, {kFileGroup}, false},
    {"another", 1001, 1001, {}, false},
    {"another, whose group it is", 1001, kFileGroup, {}, false},
    {"another with CAP_FSETID", 1001, 1001, {}, true},
};

// Adds or takes away one effective capability; the permitted ones stay for the way back.
void SetEffective(int capability, bool on) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  ::syscall(SYS_capget, &header, data);
  const uint32_t bit = 1u << capability;
  data[0].effective = on ? data[0].effective | bit : data[0].effective & ~bit;
  ::syscall(SYS_capset, &header, data);
}

void ActAs(Probe& p, const Actor& actor) {
  // The saved user id stays 0, so the permitted set does too.
  p.Become(actor.uid, actor.gid, actor.groups);
  SetEffective(CAP_FSETID, actor.fsetid);
}

void ActAsRoot(Probe& p) {
  p.Become(0, 0);
  SetEffective(CAP_FSETID, true);
}

std::string Bits(const char* path) {
  struct stat st {};
  if (::lstat(path, &st) != 0) return ErrnoName(errno);
  char text[16];
  std::snprintf(text, sizeof text, "%04o", st.st_mode & 07777);
  return std::string(text) + (::lgetxattr(path, kCapability, nullptr, 0) > 0 ? " capable" : "");
}

void MakeFile(Probe& p, mode_t mode, bool capable) {
  p.Make("f", "content");
  p.Chown("f", 1000, kFileGroup);
  p.Chmod("f", mode);
  if (capable) p.SetXattr("f", kCapability, CapabilityValue());
}

struct Way {
  const char* what;
  int flags;
  long (*run)(int fd);  // null: nothing but the opening
};

long WriteAligned(int fd) {
  const std::unique_ptr<void, decltype(&std::free)> block(std::aligned_alloc(4096, 4096),
                                                          &std::free);
  std::memset(block.get(), 'x', 4096);
  return ::pwrite(fd, block.get(), 4096, 0);
}

long WriteVector(int fd) {
  char text[] = "abcd";
  const iovec parts[] = {{text, 2}, {text + 2, 2}};
  return ::writev(fd, parts, 2);
}

template <typename Copy>
long CopyFromSource(int fd, Copy copy) {
  const int source = ::open("source", O_RDONLY | O_CLOEXEC);
  const long copied = copy(source, fd);
  const int error = errno;
  ::close(source);
  errno = error;
  return copied;
}

long CopyRange(int fd) {
  return CopyFromSource(fd, [](int from, int to) {
    return static_cast<long>(::copy_file_range(from, nullptr, to, nullptr, 4, 0));
  });
}

long SendFile(int fd) {
  return CopyFromSource(
      fd, [](int from, int to) { return static_cast<long>(::sendfile(to, from, nullptr, 4)); });
}

long Splice(int fd) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0 || ::write(ends[1], "abcd", 4) != 4) return -1;
  const long moved = ::splice(ends[0], nullptr, fd, nullptr, 4, 0);
  ::close(ends[0]);
  ::close(ends[1]);
  return moved;
}

long WriteMapped(int fd) {
  void* map = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED) return -1;
  *static_cast<char*>(map) = 'm';
  const int synced = ::msync(map, 4096, MS_SYNC);
  ::munmap(map, 4096);
  return synced;
}

const Way kWays[] = {
    {"nothing", O_RDWR, nullptr},
    {"O_TRUNC", O_RDWR | O_TRUNC, nullptr},
    {"O_TRUNC for reading", O_RDONLY | O_TRUNC, nullptr},
    {"write", O_WRONLY, [](int fd) { return static_cast<long>(::write(fd, "x", 1)); }},
    {"write of nothing", O_WRONLY, [](int fd) { return static_cast<long>(::write(fd, "x", 0)); }},
    {"write with O_APPEND", O_WRONLY | O_APPEND,
     [](int fd) { return static_cast<long>(::write(fd, "x", 1)); }},
    {"pwrite", O_RDWR, [](int fd) { return static_cast<long>(::pwrite(fd, "x", 1, 100)); }},
    {"writev", O_RDWR, WriteVector},
    {"write with O_DIRECT", O_RDWR | O_DIRECT, WriteAligned},
    {"write with O_SYNC", O_RDWR | O_SYNC, WriteAligned},
    {"ftruncate", O_RDWR, [](int fd) { return static_cast<long>(::ftruncate(fd, 3)); }},
    {"ftruncate to the same size", O_RDWR,
     [](int fd) { return static_cast<long>(::ftruncate(fd, 7)); }},
    {"ftruncate of a reader", O_RDONLY,
     [](int fd) { return static_cast<long>(::ftruncate(fd, 3)); }},
    {"fallocate", O_RDWR, [](int fd) { return static_cast<long>(::fallocate(fd, 0, 0, 4096)); }},
    {"fallocate beyond the end", O_RDWR,
     [](int fd) { return static_cast<long>(::fallocate(fd, FALLOC_FL_KEEP_SIZE, 4096, 4096)); }},
    {"fallocate of a hole", O_RDWR,
     [](int fd) {
       return static_cast<long>(
           ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
     }},
    {"fallocate of zeros", O_RDWR,
     [](int fd) { return static_cast<long>(::fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 4096)); }},
    {"copy_file_range", O_WRONLY, CopyRange},
    {"sendfile", O_WRONLY, SendFile},
    {"splice", O_WRONLY, Splice},
    {"a memory map", O_RDWR, WriteMapped},
    {"fchmod to what it is", O_RDWR,
     [](int fd) {
       struct stat st {};
       ::fstat(fd, &st);
       return static_cast<long>(::fchmod(fd, st.st_mode & 07777));
     }},
    {"futimens", O_RDWR, [](int fd) { return static_cast<long>(::futimens(fd, nullptr)); }},
    {"fsync", O_RDWR, [](int fd) { return static_cast<long>(::fsync(fd)); }},
    {"reading", O_RDWR,
     [](int fd) {
       char byte;
       return static_cast<long>(::pread(fd, &byte, 1, 0));
     }},
};

enum class Who { kAll, kPrivileged, kOthers };

void TryEachWay(Probe& p, mode_t mode, bool capable, Who who = Who::kAll) {
  p.Make("source", "source", 0644);
  for (const Actor& actor : kActors) {
    if (who != Who::kAll && actor.fsetid != (who == Who::kPrivileged)) continue;
    for (const Way& way : kWays) {
      MakeFile(p, mode, capable);
      ActAs(p, actor);
      p.Note(std::string(actor.what) + ": " + way.what);
      const int fd = p.Open("f", way.flags);
      if (fd >= 0 && way.run) p.Do(way.what, [&] { return way.run(fd); });
      p.Note("  then " + Bits("f"));
      p.Close(fd);
      ActAsRoot(p);
      p.Note("  closed " + Bits("f"));
      p.Unlink("f");
    }
  }
}

}  // namespace

PXFS_SCENARIO(SetIdUidAndWriting) { TryEachWay(p, 04777, false); }
PXFS_SCENARIO(SetIdGidAndWriting) { TryEachWay(p, 02777, false); }
PXFS_SCENARIO(SetIdGidWithoutExecuteAndWriting) { TryEachWay(p, 02767, false); }
PXFS_SCENARIO(SetIdBothAndWriting) { TryEachWay(p, 06767, false); }
PXFS_SCENARIO(SetIdCapabilityAndWriting) { TryEachWay(p, 0777, true); }
PXFS_SCENARIO(SetIdAllAndWriting) { TryEachWay(p, 06777, true, Who::kOthers); }
PXFS_SCENARIO(SetIdAllAndWritingByThePrivileged) { TryEachWay(p, 06777, true, Who::kPrivileged); }

PXFS_SCENARIO(SetIdAndTruncatingByPath) {
  for (const Actor& actor : kActors) {
    for (const mode_t mode : {04777, 02777, 02767, 06767, 0777}) {
      for (const off_t size : {3, 7, 100}) {
        MakeFile(p, mode, true);
        ActAs(p, actor);
        p.Note(actor.what);
        p.Truncate("f", size);
        p.Note("  then " + Bits("f"));
        ActAsRoot(p);
        p.Unlink("f");
      }
    }
  }
}

PXFS_SCENARIO(SetIdAndChangingTheOwner) {
  const auto same = static_cast<uid_t>(-1);
  for (const Actor& actor : kActors) {
    for (const mode_t mode : {04777, 02777, 02767, 06767, 0777}) {
      for (const auto& [uid, gid] : {std::pair<uid_t, gid_t>{same, same},
                                     {1000, same},
                                     {1001, same},
                                     {same, kFileGroup},
                                     {same, 1000},
                                     {same, 3000},
                                     {0, 0}}) {
        // Where a chown is refused because of the set-id bits, Linux has had a FUSE file system
        // remove the capabilities before.
        MakeFile(p, mode, mode == 0777 || actor.uid != 1001);
        ActAs(p, actor);
        p.Note(actor.what);
        p.Chown("f", uid, gid);
        p.Note("  then " + Bits("f"));
        ActAsRoot(p);
        p.Stat("f");
        p.Unlink("f");
      }
    }
  }
}

PXFS_SCENARIO(SetIdAndChangingTheOwnerOfAnOpenFile) {
  for (const Actor& actor : {kActors[0], kActors[1], kActors[3], kActors[4]}) {
    for (const mode_t mode : {04777, 02777, 02767, 0777}) {
      MakeFile(p, mode, true);
      ActAs(p, actor);
      const int fd = p.Open("f", O_RDWR);
      p.Do("fchown", [&] { return ::fchown(fd, static_cast<uid_t>(-1), kFileGroup); });
      p.Note("  then " + Bits("f"));
      p.Close(fd);
      ActAsRoot(p);
      p.Note("  closed " + Bits("f"));
      p.Unlink("f");
    }
  }
}

PXFS_SCENARIO(SetIdOfOtherTypesAndChangingTheOwner) {
  for (const Actor& actor : kActors) {
    p.Mkdir("d");
    p.Mknod("p", S_IFIFO | 0600);
    p.Mknod("s", S_IFSOCK | 0600);
    p.Mknod("c", S_IFCHR | 0600, 0x103);
    p.Symlink("d", "l");
    for (const char* name : {"d", "p", "s", "c"}) {
      p.Chown(name, 1000, kFileGroup);
      p.Chmod(name, 06777);
    }
    p.Chown("l", 1000, kFileGroup);
    for (const char* name : {"d", "p", "s", "c", "l"}) {
      ActAs(p, actor);
      p.Note(actor.what);
      p.Chown(name, static_cast<uid_t>(-1), kFileGroup);
      p.Note("  then " + Bits(name));
      p.Chown(name, 1000, 1000);
      ActAsRoot(p);
      p.Stat(name);
    }
    p.Stat("d");
    for (const char* name : {"p", "s", "c", "l"}) p.Unlink(name);
    p.Rmdir("d");
  }
}

PXFS_SCENARIO(SetIdAndChangingTheMode) {
  for (const Actor& actor : kActors) {
    for (const mode_t mode : {04755, 02755, 02644, 06777}) {
      MakeFile(p, 0666, true);
      p.Mkdir("d");
      p.Chown("d", 1000, kFileGroup);
      ActAs(p, actor);
      p.Note(actor.what);
      p.Chmod("f", mode);
      p.Chmod("d", mode);
      p.Note("  then " + Bits("f") + ", " + Bits("d"));
      ActAsRoot(p);
      p.Unlink("f");
      p.Rmdir("d");
    }
  }
}

// Whoever has the file open meanwhile: a later write clears what was set after the opening.
PXFS_SCENARIO(SetIdSetAfterOpening) {
  for (const Actor& actor : kActors) {
    if (actor.fsetid) continue;  // see SetIdSetAfterOpeningByThePrivileged
    for (const mode_t mode : {04777, 02777, 06777}) {
      MakeFile(p, 0777, false);
      ActAs(p, actor);
      const int fd = p.Open("f", O_RDWR);
      ActAsRoot(p);
      p.Chmod("f", mode);
      p.SetXattr("f", kCapability, CapabilityValue());
      p.Note("  set " + Bits("f"));
      ActAs(p, actor);
      p.Note(actor.what);
      p.Write(fd, "x");
      p.Note("  then " + Bits("f"));
      p.Fstat(fd);
      p.Close(fd);
      ActAsRoot(p);
      p.Note("  closed " + Bits("f"));
      p.Stat("f");
      p.Unlink("f");
    }
  }
}

PXFS_SCENARIO(SetIdSetAfterOpeningByThePrivileged) {
  for (const Actor& actor : kActors) {
    if (!actor.fsetid) continue;
    MakeFile(p, 0777, false);
    ActAs(p, actor);
    const int fd = p.Open("f", O_RDWR);
    ActAsRoot(p);
    p.Chmod("f", 06777);
    ActAs(p, actor);
    p.Write(fd, "x");
    p.Note("  then " + Bits("f"));
    p.Close(fd);
    ActAsRoot(p);
    p.Stat("f");
    p.Unlink("f");
  }
}

// A program that is open for reading has a backing that takes no writes.
PXFS_SCENARIO(SetIdAndWritingBesideAReader) {
  for (const Actor& actor : kActors) {
    for (const mode_t mode : {06777, 02767, 0777}) {
      // See SetIdAllAndWritingByThePrivileged.
      MakeFile(p, mode, mode == 0777 || !actor.fsetid);
      const int reader = p.Open("f", O_RDONLY);
      p.Read(reader, 3);
      ActAs(p, actor);
      p.Note(actor.what);
      const int fd = p.Open("f", O_RDWR);
      p.Note("  opened " + Bits("f"));
      p.Write(fd, "x");
      p.Note("  then " + Bits("f"));
      p.Close(fd);
      ActAsRoot(p);
      p.Note("  closed " + Bits("f"));
      p.Close(reader);
      p.Unlink("f");
    }
  }
}

// What install(1), cp -p and tar do.
PXFS_SCENARIO(SetIdSetAfterWriting) {
  for (const Actor& actor : kActors) {
    p.Mkdir("open");
    p.Chmod("open", 0777);
    ActAs(p, actor);
    const int fd = p.Open("open/f", O_RDWR | O_CREAT | O_EXCL, 0600);
    p.Write(fd, "program");
    p.Do("fchmod", [&] { return ::fchmod(fd, 06755); });
    p.Fstat(fd);
    p.Do("fsync", [&] { return ::fsync(fd); });
    p.Close(fd);
    p.Stat("open/f");
    const int tmp = p.Open("open", O_RDWR | O_TMPFILE, 06755);
    p.Fstat(tmp);
    p.Write(tmp, "program");
    p.Fstat(tmp);
    p.Close(tmp);
    ActAsRoot(p);
    p.Unlink("open/f");
    p.Rmdir("open");
  }
}

PXFS_SCENARIO(SetIdOfNewNodesInASetgidDirectory) {
  p.Umask(0);
  for (const Actor& actor : kActors) {
    for (const mode_t directory : {02777, 0777, 03777, 06777}) {
      p.Mkdir("d");
      p.Chown("d", 1000, kFileGroup);
      p.Chmod("d", directory);
      ActAs(p, actor);
      p.Note(actor.what);
      for (const mode_t mode : {0666, 02666, 02676, 02777, 06777, 04777}) {
        p.Close(p.Open("d/f", O_WRONLY | O_CREAT | O_EXCL, mode));
        p.Mkdir("d/d", mode);
        p.Mknod("d/p", S_IFIFO | mode);
        p.Mknod("d/r", S_IFREG | mode);
        for (const char* name : {"d/f", "d/d", "d/p", "d/r"}) p.Stat(name);
        const int fd = p.Open("d", O_RDWR | O_TMPFILE, mode);
        p.Fstat(fd);
        p.Close(fd);
        for (const char* name : {"d/f", "d/p", "d/r"}) p.Unlink(name);
        p.Rmdir("d/d");
      }
      ActAsRoot(p);
      p.Rmdir("d");
    }
  }
}

PXFS_SCENARIO(SetIdCapabilityAndNames) {
  MakeFile(p, 0755, true);
  p.Link("f", "g");
  p.Rename("f", "h");
  p.Utimens("h", {1, 1}, {2, 2});
  p.Chmod("h", 0711);
  p.Note(Bits("g"));
  p.ListXattrs("g");
  p.GetXattr("g", kCapability);
  ActAs(p, kActors[3]);
  p.SetXattr("h", kCapability, CapabilityValue());
  p.RemoveXattr("h", kCapability);
  p.GetXattr("h", kCapability);
  ActAsRoot(p);
  p.SetXattr("h", kCapability, "nonsense");
  p.Chown("g", 1000, kFileGroup);
  p.Note(Bits("h"));
}

}  // namespace pxfs::test
