// Advisory locks: flock, record locks of processes and of open files.
#include <sys/file.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "tests/mount/scenario.h"

namespace pxfs::test {
namespace {

// fcntl record lock: command F_SETLK, F_GETLK, F_OFD_SETLK...
void Record(Probe& p, const char* what, int fd, int command, short type, off_t start,
            off_t length) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = length;
  p.Do(std::string(what) + " " + std::to_string(start) + "+" + std::to_string(length),
       [&] { return ::fcntl(fd, command, &lock); });
  if (command == F_GETLK || command == F_OFD_GETLK) {
    p.Note(lock.l_type == F_UNLCK
               ? "  free"
               : "  held: " + std::to_string(lock.l_type) + " " + std::to_string(lock.l_start) +
                     "+" + std::to_string(lock.l_len));
  }
}

// Runs in a process of its own; its lines join those of `p`.
template <typename Body>
void InChild(Probe& p, Body body) {
  int pipe_fds[2];
  if (::pipe(pipe_fds) != 0) return p.Note("pipe failed");
  const pid_t child = ::fork();
  if (child == 0) {
    Probe own;
    body(own);
    for (const std::string& line : own.lines()) ::dprintf(pipe_fds[1], "%s\n", line.c_str());
    ::_exit(0);
  }
  ::close(pipe_fds[1]);
  FILE* in = ::fdopen(pipe_fds[0], "r");
  char* line = nullptr;
  size_t capacity = 0;
  for (ssize_t n; (n = ::getline(&line, &capacity, in)) > 0;)
    p.Note("  child: " + std::string(line, static_cast<size_t>(n) - 1));
  ::free(line);
  ::fclose(in);
  ::waitpid(child, nullptr, 0);
}

}  // namespace

PXFS_SCENARIO(LockWholeFiles) {
  p.Make("f", "x");
  const int first = p.Open("f", O_RDWR), second = p.Open("f", O_RDWR);
  p.Do("shared", [&] { return ::flock(first, LOCK_SH | LOCK_NB); });
  p.Do("second shared", [&] { return ::flock(second, LOCK_SH | LOCK_NB); });
  p.Do("upgrade", [&] { return ::flock(first, LOCK_EX | LOCK_NB); });
  p.Do("unlock", [&] { return ::flock(second, LOCK_UN); });
  p.Do("first exclusive", [&] { return ::flock(first, LOCK_EX | LOCK_NB); });
  p.Do("second refused", [&] { return ::flock(second, LOCK_SH | LOCK_NB); });
  InChild(p, [](Probe& c) {
    const int fd = c.Open("f", O_RDONLY);
    c.Do("child refused", [&] { return ::flock(fd, LOCK_SH | LOCK_NB); });
  });
  const int duplicate = ::dup(first);
  p.Close(first);
  p.Do("still held by the duplicate", [&] { return ::flock(second, LOCK_EX | LOCK_NB); });
  ::close(duplicate);
  p.Do("free after the last close", [&] { return ::flock(second, LOCK_EX | LOCK_NB); });
}

PXFS_SCENARIO(LockRecordsBetweenProcesses) {
  p.Make("f", std::string(100, 'x'));
  const int fd = p.Open("f", O_RDWR);
  Record(p, "write lock", fd, F_SETLK, F_WRLCK, 10, 20);
  Record(p, "own test", fd, F_GETLK, F_WRLCK, 0, 0);
  InChild(p, [](Probe& c) {
    const int own = c.Open("f", O_RDWR);
    Record(c, "overlapping", own, F_SETLK, F_RDLCK, 15, 1);
    Record(c, "before", own, F_SETLK, F_WRLCK, 0, 10);
    Record(c, "behind", own, F_SETLK, F_WRLCK, 30, 0);
    Record(c, "test", own, F_GETLK, F_WRLCK, 0, 0);
  });
  Record(p, "unlock the middle", fd, F_SETLK, F_UNLCK, 15, 5);
  InChild(p, [](Probe& c) {
    const int own = c.Open("f", O_RDWR);
    Record(c, "the middle", own, F_SETLK, F_WRLCK, 15, 5);
    Record(c, "the rest", own, F_SETLK, F_WRLCK, 20, 5);
  });
  const int reader = p.Open("f", O_RDONLY);
  Record(p, "write lock through a reader", reader, F_SETLK, F_WRLCK, 50, 1);
  Record(p, "read lock", fd, F_SETLK, F_RDLCK, 50, 10);
  InChild(p, [](Probe& c) {
    const int own = c.Open("f", O_RDWR);
    Record(c, "shared", own, F_SETLK, F_RDLCK, 50, 10);
    Record(c, "exclusive", own, F_SETLK, F_WRLCK, 50, 10);
  });
  p.Close(reader);  // closing any descriptor of the file drops all locks of the process
  InChild(p,
          [](Probe& c) { Record(c, "after close", c.Open("f", O_RDWR), F_GETLK, F_WRLCK, 0, 0); });
}

PXFS_SCENARIO(LockRecordsOfOpenFiles) {
  p.Make("f", std::string(100, 'x'));
  const int first = p.Open("f", O_RDWR), second = p.Open("f", O_RDWR);
  Record(p, "first", first, F_OFD_SETLK, F_WRLCK, 0, 50);
  Record(p, "second overlapping", second, F_OFD_SETLK, F_WRLCK, 40, 20);
  Record(p, "second behind", second, F_OFD_SETLK, F_WRLCK, 50, 0);
  Record(p, "test", second, F_OFD_GETLK, F_RDLCK, 0, 10);
  Record(p, "the process's own", second, F_SETLK, F_WRLCK, 0, 10);
  p.Close(first);
  Record(p, "after close", second, F_OFD_SETLK, F_WRLCK, 0, 50);
}

PXFS_SCENARIO(LockWaitsForTheHolder) {
  p.Make("f", "");
  const int fd = p.Open("f", O_RDWR | O_APPEND);
  Record(p, "hold", fd, F_SETLK, F_WRLCK, 0, 0);
  int ready[2];
  if (::pipe(ready) != 0) return;
  const pid_t child = ::fork();
  if (child == 0) {
    const int own = ::open("f", O_RDWR | O_APPEND);
    if (::write(ready[1], "r", 1) != 1) ::_exit(1);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    if (::fcntl(own, F_SETLKW, &lock) != 0) ::_exit(2);
    ::_exit(::write(own, "second", 6) == 6 ? 0 : 3);
  }
  char byte;
  if (::read(ready[0], &byte, 1) != 1) return;
  p.Write(fd, "first ");
  Record(p, "release", fd, F_SETLK, F_UNLCK, 0, 0);
  int status = 0;
  p.Do("child", [&] { return ::waitpid(child, &status, 0) == child ? status : -1; });
  p.Content("f");
}

PXFS_SCENARIO(LockEndsWithTheProcess) {
  p.Make("f", "x");
  int ready[2];
  if (::pipe(ready) != 0) return;
  const pid_t child = ::fork();
  if (child == 0) {
    const int own = ::open("f", O_RDWR);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    if (::fcntl(own, F_SETLK, &lock) != 0 || ::flock(own, LOCK_EX) != 0) ::_exit(1);
    if (::write(ready[1], "r", 1) != 1) ::_exit(1);
    ::pause();
  }
  char byte;
  if (::read(ready[0], &byte, 1) != 1) return;
  const int fd = p.Open("f", O_RDWR);
  Record(p, "while it lives", fd, F_SETLK, F_WRLCK, 0, 0);
  p.Do("flock while it lives", [&] { return ::flock(fd, LOCK_EX | LOCK_NB); });
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  Record(p, "afterwards", fd, F_SETLK, F_WRLCK, 0, 0);
  p.Do("flock afterwards", [&] { return ::flock(fd, LOCK_EX); });
}

}  // namespace pxfs::test
