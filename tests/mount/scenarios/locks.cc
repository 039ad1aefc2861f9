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

PXFS_SCENARIO(LockUpgradeAndSplit) {
  p.Make("f", std::string(100, 'x'));
  const int fd = p.Open("f", O_RDWR);
  Record(p, "read lock", fd, F_SETLK, F_RDLCK, 0, 100);
  Record(p, "upgrade a part", fd, F_SETLK, F_WRLCK, 20, 10);
  Record(p, "unlock within", fd, F_SETLK, F_UNLCK, 24, 2);
  InChild(p, [&](Probe& c) {
    for (const off_t at : {0, 19, 20, 24, 26, 30, 99, 100})
      Record(c, "write?", fd, F_GETLK, F_WRLCK, at, 1);
    Record(c, "read the read part", fd, F_SETLK, F_RDLCK, 0, 5);
    Record(c, "upgrade what another reads", fd, F_SETLK, F_WRLCK, 0, 5);
  });
  Record(p, "to the end", fd, F_SETLK, F_WRLCK, 90, 0);
  Record(p, "negative length", fd, F_SETLK, F_WRLCK, 50, -10);
  Record(p, "negative start", fd, F_SETLK, F_WRLCK, -5, 3);
  Record(p, "beyond all", fd, F_SETLK, F_WRLCK, 0x7fffffffffffffff, 10);
  p.Do("shared flock", [&] { return ::flock(fd, LOCK_SH); });
  const int other = p.Open("f", O_RDWR);
  p.Do("second shared flock", [&] { return ::flock(other, LOCK_SH | LOCK_NB); });
  p.Do("upgrade against it", [&] { return ::flock(other, LOCK_EX | LOCK_NB); });
  p.Do("what it had", [&] { return ::flock(fd, LOCK_EX | LOCK_NB); });
  p.Do("no such operation", [&] { return ::flock(fd, 77); });
}

PXFS_SCENARIO(LockEndsWithAnyCloseOfTheProcess) {
  p.Make("f", "x");
  const int fd = p.Open("f", O_RDWR), again = p.Open("f", O_RDONLY);
  Record(p, "lock", fd, F_SETLK, F_WRLCK, 0, 10);
  Record(p, "lock of the open file", fd, F_OFD_SETLK, F_WRLCK, 20, 10);
  p.Close(again);
  InChild(p, [&](Probe& c) {
    const int own = c.Open("f", O_RDWR);
    Record(c, "after a close", own, F_GETLK, F_WRLCK, 0, 10);
    Record(c, "of the open file", own, F_GETLK, F_WRLCK, 20, 10);
  });
  const int copy = ::dup(fd);
  p.Close(fd);
  InChild(p, [&](Probe& c) {
    Record(c, "a copy holds it", c.Open("f", O_RDWR), F_GETLK, F_WRLCK, 20, 10);
  });
  p.Close(copy);
  InChild(p, [&](Probe& c) {
    Record(c, "nobody holds it", c.Open("f", O_RDWR), F_GETLK, F_WRLCK, 20, 10);
  });
}

PXFS_SCENARIO(LockDeadlockIsFound) {
  p.Make("f", "x");
  const int fd = p.Open("f", O_RDWR);
  int ready[2];
  if (::pipe(ready) != 0) return p.Note("no pipe");
  Record(p, "first", fd, F_SETLK, F_WRLCK, 0, 1);
  const pid_t child = ::fork();
  if (child == 0) {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = 1;
    lock.l_len = 1;
    if (::fcntl(fd, F_SETLK, &lock) != 0 || ::write(ready[1], "x", 1) != 1) ::_exit(1);
    lock.l_start = 0;
    ::_exit(::fcntl(fd, F_SETLKW, &lock) == 0 ? 0
            : errno == EDEADLK                ? 2
                                              : 3);  // once the parent has given it up
  }
  char byte;
  if (::read(ready[0], &byte, 1) != 1) return p.Note("the child ended");
  // Whoever waits second is told. The alarm is for a file system that lets both wait.
  struct sigaction interrupt {};
  interrupt.sa_handler = [](int) {};
  ::sigaction(SIGALRM, &interrupt, nullptr);
  ::alarm(20);
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = 1;
  lock.l_len = 1;
  const bool granted = ::fcntl(fd, F_SETLKW, &lock) == 0;
  const bool told = !granted && errno == EDEADLK;
  ::alarm(0);
  Record(p, "give up", fd, F_SETLK, F_UNLCK, 0, 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  const bool child_told = WIFEXITED(status) && WEXITSTATUS(status) == 2;
  const bool child_granted = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  p.Note((told && child_granted) || (granted && child_told) ? "one of them is told"
                                                            : "the deadlock is not found");
}

PXFS_SCENARIO(LockWaitIsInterrupted) {
  p.Make("f", "x");
  const int fd = p.Open("f", O_RDWR);
  Record(p, "held", fd, F_SETLK, F_WRLCK, 0, 10);
  const int locked = p.Open("f", O_RDWR);
  p.Do("flock", [&] { return ::flock(locked, LOCK_EX); });
  InChild(p, [&](Probe& c) {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    ::sigaction(SIGALRM, &action, nullptr);
    const int own = c.Open("f", O_RDWR);
    ::ualarm(50'000, 50'000);  // again and again, should the first come before the wait
    Record(c, "wait", own, F_SETLKW, F_WRLCK, 5, 1);
    c.Do("wait for flock", [&] { return ::flock(own, LOCK_EX); });
    Record(c, "wait for the open file's", own, F_OFD_SETLKW, F_WRLCK, 5, 1);
    ::ualarm(0, 0);
    Record(c, "no wait", own, F_SETLK, F_WRLCK, 5, 1);
  });
}

}  // namespace pxfs::test
