// What inotify(7) tells of changes that are made here.
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <map>

#include "tests/mount/scenario.h"

namespace pxfs::test {
namespace {

constexpr std::pair<uint32_t, const char*> kNames[] = {{IN_ACCESS, "ACCESS"},
                                                       {IN_MODIFY, "MODIFY"},
                                                       {IN_ATTRIB, "ATTRIB"},
                                                       {IN_CLOSE_WRITE, "CLOSE_WRITE"},
                                                       {IN_CLOSE_NOWRITE, "CLOSE_NOWRITE"},
                                                       {IN_OPEN, "OPEN"},
                                                       {IN_MOVED_FROM, "MOVED_FROM"},
                                                       {IN_MOVED_TO, "MOVED_TO"},
                                                       {IN_CREATE, "CREATE"},
                                                       {IN_DELETE, "DELETE"},
                                                       {IN_DELETE_SELF, "DELETE_SELF"},
                                                       {IN_MOVE_SELF, "MOVE_SELF"},
                                                       {IN_IGNORED, "IGNORED"},
                                                       {IN_ISDIR, "ISDIR"},
                                                       {IN_Q_OVERFLOW, "Q_OVERFLOW"},
                                                       {IN_UNMOUNT, "UNMOUNT"}};

class Watch {
 public:
  explicit Watch(Probe& p) : p_(p), fd_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {}
  void Add(const std::string& path) {
    const int watch = ::inotify_add_watch(fd_, path.c_str(), IN_ALL_EVENTS);
    p_.Try("watch " + path, [&] { return watch; });
    names_[watch] = path;
  }
  // Notes what has come since the last time. It comes before the call returns that it is about.
  void Tell() {
    alignas(inotify_event) char buffer[16384];
    ssize_t n;
    while ((n = ::read(fd_, buffer, sizeof buffer)) > 0) {
      for (ssize_t at = 0; at < n;) {
        const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
        at += static_cast<ssize_t>(sizeof *event) + event->len;
        std::string line = "  " + names_[event->wd] + ":";
        for (const auto& [bit, name] : kNames)
          if (event->mask & bit) line += std::string(" ") + name;
        if (event->len > 0) line += std::string(" ") + event->name;
        if (event->cookie != 0) line += " #" + std::to_string(CookieNumber(event->cookie));
        p_.Note(line);
      }
    }
  }

 private:
  size_t CookieNumber(uint32_t cookie) {
    return cookies_.emplace(cookie, cookies_.size()).first->second;
  }

  Probe& p_;
  const int fd_;
  std::map<int, std::string> names_;
  std::map<uint32_t, size_t> cookies_;
};

}  // namespace

PXFS_SCENARIO(InotifyOfNames) {
  p.Mkdir("d");
  p.Mkdir("e");
  p.Make("d/f", "x");
  Watch watch(p);
  for (const char* path : {"d", "e", "d/f"}) watch.Add(path);
  p.Make("d/new", "content");
  watch.Tell();
  p.Mkdir("d/sub");
  p.Symlink("f", "d/soft");
  p.Mknod("d/fifo", S_IFIFO | 0644);
  p.Link("d/f", "e/hard");
  watch.Tell();
  p.Rename("d/new", "d/renamed");
  p.Rename("d/renamed", "e/over");
  p.Rename("d/f", "e/hard");  // both are one file
  p.Rename("d/sub", "e/sub");
  watch.Tell();
  p.Rename("e/over", "d/f");
  watch.Tell();
  p.Rename("d/f", "e/sub", RENAME_EXCHANGE);
  watch.Tell();
  p.Unlink("d/soft");
  p.Unlink("d/fifo");
  p.Unlink("e/hard");
  p.Rmdir("d/f");
  watch.Tell();
  p.Rename("d", "e/d");
  p.Rmdir("e/d");
  watch.Tell();
}

PXFS_SCENARIO(InotifyOfContentAndAttributes) {
  p.Mkdir("d");
  p.Make("d/f", "some text");
  Watch watch(p);
  for (const char* path : {"d", "d/f"}) watch.Add(path);
  const int fd = p.Open("d/f", O_RDWR);
  watch.Tell();
  p.Write(fd, "x");
  watch.Tell();
  p.Pread(fd, 4, 0);
  watch.Tell();
  p.Ftruncate(fd, 3);
  watch.Tell();
  p.Do("fallocate", [&] { return ::fallocate(fd, 0, 0, 100); });
  watch.Tell();
  p.Do("fsync", [&] { return ::fsync(fd); });
  watch.Tell();
  p.Close(fd);
  watch.Tell();
  p.Truncate("d/f", 1);
  p.Chmod("d/f", 0600);
  p.Chown("d/f", 1, 1);
  p.Utimens("d/f", {1, 0}, {2, 0});
  watch.Tell();
  p.SetXattr("d/f", "user.x", "1");
  p.RemoveXattr("d/f", "user.x");
  watch.Tell();
  p.Content("d/f");
  p.List("d");
  watch.Tell();
  // A file that is open keeps its watch without a name.
  const int open = p.Open("d/f", O_WRONLY);
  p.Unlink("d/f");
  watch.Tell();
  p.Write(open, "y");
  p.Close(open);
  watch.Tell();
}

}  // namespace pxfs::test
