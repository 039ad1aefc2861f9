// What few programs ask of a file system, and those that do rely on.
#include <dirent.h>
#include <signal.h>
#include <sys/fanotify.h>
#include <sys/mman.h>

#include <algorithm>
#include <set>

#include "tests/mount/scenario.h"

namespace pxfs::test {

// Places told before stay good, and what is not renamed comes once, whatever is.
PXFS_SCENARIO(CornerSeekingWhileNamesChange) {
  p.Mkdir("d");
  for (int i = 0; i < 300; ++i) p.Make("d/stays" + std::to_string(i));
  for (int i = 0; i < 100; ++i) p.Make("d/moves" + std::to_string(i));
  DIR* const directory = ::opendir("d");
  std::vector<std::string> seen;
  const auto read = [&](int limit) {
    while (limit-- > 0) {
      const dirent* const entry = ::readdir(directory);
      if (!entry) break;
      if (std::string_view(entry->d_name).starts_with("stays")) seen.emplace_back(entry->d_name);
    }
  };
  read(150);
  const long place = ::telldir(directory);
  const size_t before = seen.size();
  for (int i = 0; i < 100; ++i)
    p.Rename("d/moves" + std::to_string(i), "d/moved" + std::to_string(i));
  read(1000);
  std::set<std::string> distinct(seen.begin(), seen.end());
  p.Note(std::to_string(seen.size()) + " seen, " + std::to_string(distinct.size()) + " names");
  seen.resize(before);
  ::seekdir(directory, place);
  read(1000);
  distinct = {seen.begin(), seen.end()};
  p.Note("from there again: " + std::to_string(seen.size()) + " seen, " +
         std::to_string(distinct.size()) + " names");
  ::closedir(directory);
}

PXFS_SCENARIO(CornerReopeningByDescriptor) {
  p.Make("f", "text");
  const int path = p.Open("f", O_PATH);
  const std::string link = "/proc/self/fd/" + std::to_string(path);
  p.Read(path, 1);
  p.Fstat(path);
  p.Do("fchmod", [&] { return ::fchmod(path, 0600); });
  p.Do("ftruncate", [&] { return ::ftruncate(path, 1); });
  p.Do("chmod of the link", [&] { return ::chmod(link.c_str(), 0640); });
  p.Do("linkat", [&] { return ::linkat(path, "", AT_FDCWD, "g", AT_EMPTY_PATH); });
  p.Unlink("f");
  p.Fstat(path);
  int fd = -1;
  p.Try("open of the link", [&] { return fd = ::open(link.c_str(), O_RDWR | O_CLOEXEC); });
  p.Pwrite(fd, "T", 0);
  p.Content("g");
  p.Unlink("g");
  p.Pread(fd, 10, 0);
  p.Close(fd);
  p.Try("open of what has no name", [&] { return fd = ::open(link.c_str(), O_RDONLY); });
  p.Pread(fd, 10, 0);
  p.Close(fd);
  p.Do("linkat of what has no name",
       [&] { return ::linkat(path, "", AT_FDCWD, "again", AT_EMPTY_PATH); });
  p.Close(path);
  p.Mkdir("d");
  const int directory = p.Open("d", O_PATH | O_DIRECTORY);
  p.Do("openat below",
       [&] { return ::openat(directory, "x", O_CREAT | O_WRONLY, 0644) < 0 ? -1 : 0; });
  p.Do("fchdir", [&] { return ::fchdir(directory); });
  p.Stat("x");
}

PXFS_SCENARIO(CornerLeases) {
  p.Make("f", "x");
  const int reading = p.Open("f", O_RDONLY);
  p.Do("read lease", [&] { return ::fcntl(reading, F_SETLEASE, F_RDLCK); });
  p.Do("get", [&] { return ::fcntl(reading, F_GETLEASE); });
  p.Do("give up", [&] { return ::fcntl(reading, F_SETLEASE, F_UNLCK); });
  p.Do("write lease by a reader", [&] { return ::fcntl(reading, F_SETLEASE, F_WRLCK); });
  p.Do("give up", [&] { return ::fcntl(reading, F_SETLEASE, F_UNLCK); });
  const int writing = p.Open("f", O_RDWR);
  p.Do("read lease beside a writer", [&] { return ::fcntl(reading, F_SETLEASE, F_RDLCK); });
  p.Do("write lease beside a reader", [&] { return ::fcntl(writing, F_SETLEASE, F_WRLCK); });
  p.Close(reading);
  p.Mkdir("d");
  const int directory = p.Open("d", O_RDONLY | O_DIRECTORY);
  p.Do("lease of a directory", [&] { return ::fcntl(directory, F_SETLEASE, F_RDLCK); });
}

PXFS_SCENARIO(CornerDnotify) {
  p.Mkdir("d");
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGIO);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  const int directory = p.Open("d", O_RDONLY | O_DIRECTORY);
  p.Do("F_NOTIFY", [&] {
    return ::fcntl(directory, F_NOTIFY, DN_CREATE | DN_DELETE | DN_RENAME | DN_MULTISHOT);
  });
  const timespec at_once{0, 0};
  const auto told = [&] {
    const bool is = ::sigtimedwait(&signals, nullptr, &at_once) == SIGIO;
    p.Note(is ? "told" : "not told");
  };
  told();
  p.Make("d/f");
  told();
  p.Rename("d/f", "d/g");
  told();
  p.Chmod("d/g", 0600);
  told();
  p.Unlink("d/g");
  told();
  const int file = p.Open(".", O_RDONLY);
  p.Do("of no directory", [&] { return ::fcntl(file, F_NOTIFY, 0); });
}

PXFS_SCENARIO(CornerFanotify) {
  p.Mkdir("d");
  p.Make("d/f", "x");
  const int group = ::fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK, O_RDONLY);
  p.Note(group < 0 ? "no fanotify" : "fanotify");
  p.Do("mark of an inode", [&] {
    return ::fanotify_mark(group, FAN_MARK_ADD, FAN_OPEN | FAN_MODIFY | FAN_CLOSE_WRITE, AT_FDCWD,
                           "d/f");
  });
  p.Do("mark of its mount", [&] {
    return ::fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_CLOSE_NOWRITE, AT_FDCWD, "d");
  });
  const int fd = p.Open("d/f", O_RDWR);
  p.Pwrite(fd, "y", 0);
  p.Close(fd);
  alignas(fanotify_event_metadata) char buffer[4096];
  uint64_t mask = 0;
  for (ssize_t n; (n = ::read(group, buffer, sizeof buffer)) > 0;) {
    auto* event = reinterpret_cast<fanotify_event_metadata*>(buffer);
    for (; FAN_EVENT_OK(event, n); event = FAN_EVENT_NEXT(event, n)) {
      mask |= event->mask;
      if (event->fd >= 0) ::close(event->fd);
    }
  }
  p.Note("events " + std::to_string(mask));
  ::close(group);
}

PXFS_SCENARIO(CornerMaps) {
  p.Make("f", std::string(3 * 4096, 'a'));
  const int fd = p.Open("f", O_RDWR);
  char* map =
      static_cast<char*>(::mmap(nullptr, 2 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  p.Note(map == MAP_FAILED ? "no map" : "map");
  map[4096] = 'b';
  map = static_cast<char*>(::mremap(map, 2 * 4096, 3 * 4096, MREMAP_MAYMOVE));
  p.Note(map == MAP_FAILED ? "no larger map" : "larger map");
  map[2 * 4096] = 'c';
  char* const moved = static_cast<char*>(
      ::mremap(map, 0, 3 * 4096, MREMAP_MAYMOVE));  // a second map of the same pages
  p.Note(moved == MAP_FAILED ? "no second map" : std::string("second map ") + moved[4096]);
  p.Do("msync", [&] { return ::msync(map, 3 * 4096, MS_SYNC); });
  p.Content("f");
  p.Do("MAP_SYNC", [&] {
    return ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0) == MAP_FAILED
               ? -1
               : 0;
  });
  p.Do("remap_file_pages", [&] { return ::remap_file_pages(map, 4096, 0, 2, 0); });
  p.Do("MADV_DONTNEED", [&] { return ::madvise(map, 4096, MADV_DONTNEED); });
  p.Do("MADV_REMOVE", [&] { return ::madvise(map + 2 * 4096, 4096, MADV_REMOVE); });
  p.Content("f");
}

PXFS_SCENARIO(CornerHints) {
  p.Make("f", std::string(8192, 'x'));
  const int fd = p.Open("f", O_RDWR);
  for (const int advice : {POSIX_FADV_NORMAL, POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,
                           POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED, POSIX_FADV_NOREUSE, 99})
    p.Do("fadvise " + std::to_string(advice), [&] { return ::posix_fadvise(fd, 0, 0, advice); });
  p.Do("readahead", [&] { return ::readahead(fd, 0, 8192); });
  const int writing = p.Open("f", O_WRONLY);
  p.Do("readahead of a writer", [&] { return ::readahead(writing, 0, 8192); });
  struct statx stx;
  p.Do("statx, reserved bits", [&] { return ::statx(fd, "", AT_EMPTY_PATH, 0x80000000u, &stx); });
  p.Do("statx, both ways to sync", [&] {
    return ::statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, STATX_SIZE,
                   &stx);
  });
  p.Do("statx without asking",
       [&] { return ::statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE, &stx); });
  p.Note("size " + std::to_string(stx.stx_size));
  p.Do("statx of nothing", [&] { return ::statx(fd, "", AT_EMPTY_PATH, 0, &stx); });
}

// What an overlay file system wants of the one below its upper layer.
PXFS_SCENARIO(CornerWhiteouts) {
  p.Make("f", "x");
  p.Rename("f", "g", RENAME_WHITEOUT);
  p.Stat("f");
}

}  // namespace pxfs::test
