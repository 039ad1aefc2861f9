// Mapped files.
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cstring>

#include "tests/mount/scenario.h"

namespace pxfs::test {
namespace {

char* Map(Probe& p, int fd, size_t size, int protection, int flags) {
  void* address = nullptr;
  p.Try("mmap " + std::to_string(size) + " protection " + std::to_string(protection) +
            (flags == MAP_SHARED ? " shared" : " private"),
        [&] {
          address = ::mmap(nullptr, size, protection, flags, fd, 0);
          return address == MAP_FAILED ? -1 : 0;
        });
  return address == MAP_FAILED ? nullptr : static_cast<char*>(address);
}

sigjmp_buf g_fault;

// Touches a byte in a map: its value, or that it faulted.
void Touch(Probe& p, const char* what, volatile char* byte) {
  struct sigaction action {
  }, before{};
  action.sa_handler = [](int) { ::siglongjmp(g_fault, 1); };
  ::sigaction(SIGBUS, &action, &before);
  if (::sigsetjmp(g_fault, 1) == 0) {
    p.Note(std::string(what) + " = " + std::to_string(*byte));
  } else {
    p.Note(std::string(what) + " = SIGBUS");
  }
  ::sigaction(SIGBUS, &before, nullptr);
}

}  // namespace

PXFS_SCENARIO(MmapShared) {
  p.Make("m", std::string(10'000, 'm'));
  const int fd = p.Open("m", O_RDWR);
  char* map = Map(p, fd, 10'000, PROT_READ | PROT_WRITE, MAP_SHARED);
  if (!map) return;
  std::memcpy(map + 5'000, "written through the map", 23);
  p.Pread(fd, 30, 4'995);
  p.Do("msync", [&] { return ::msync(map, 10'000, MS_SYNC); });
  p.Pwrite(fd, "written through the descriptor", 100);
  p.Note(Quote(std::string(map + 95, 40)));
  p.Close(fd);
  std::memcpy(map, "after close", 11);
  p.Do("munmap", [&] { return ::munmap(map, 10'000); });
  p.Content("m");
  p.Stat("m");
}

PXFS_SCENARIO(MmapPrivate) {
  p.Make("m", std::string(5'000, 'p'));
  const int fd = p.Open("m", O_RDONLY);
  char* map = Map(p, fd, 5'000, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  if (!map) return;
  std::memcpy(map, "private", 7);
  p.Note(Quote(std::string(map, 10)));
  p.Content("m");
  Map(p, fd, 5'000, PROT_READ | PROT_WRITE, MAP_SHARED);
  Map(p, p.Open("m", O_WRONLY), 5'000, PROT_READ, MAP_SHARED);
  Map(p, fd, 0, PROT_READ, MAP_PRIVATE);
}

PXFS_SCENARIO(MmapBeyondTheEnd) {
  p.Make("m", std::string(5'000, 'e'));
  const int fd = p.Open("m", O_RDWR);
  char* map = Map(p, fd, 16'384, PROT_READ | PROT_WRITE, MAP_SHARED);
  if (!map) return;
  Touch(p, "last byte", map + 4'999);
  Touch(p, "rest of the last page", map + 6'000);
  Touch(p, "next page", map + 8'192);
  p.Ftruncate(fd, 12'000);
  Touch(p, "next page after growing", map + 8'192);
  p.Ftruncate(fd, 100);
  Touch(p, "second page after shrinking", map + 4'999);
  Touch(p, "cut in the first page", map + 4'000);
}

PXFS_SCENARIO(MmapSharedBetweenProcesses) {
  p.Make("m", std::string(4'096, '-'));
  const int fd = p.Open("m", O_RDWR);
  char* map = Map(p, fd, 4'096, PROT_READ | PROT_WRITE, MAP_SHARED);
  if (!map) return;
  const pid_t child = ::fork();
  if (child == 0) {
    const int own = ::open("m", O_RDWR);
    auto* other =
        static_cast<char*>(::mmap(nullptr, 4'096, PROT_READ | PROT_WRITE, MAP_SHARED, own, 0));
    if (other == MAP_FAILED) ::_exit(1);
    std::memcpy(other + 10, "from the child", 14);
    ::_exit(0);
  }
  int status = 0;
  p.Do("child", [&] { return ::waitpid(child, &status, 0) == child ? status : -1; });
  p.Note(Quote(std::string(map, 30)));
  p.Content("m");
}

PXFS_SCENARIO(MmapOutlivesTheName) {
  p.Make("m", "mapped and unlinked");
  const int fd = p.Open("m", O_RDWR);
  char* map = Map(p, fd, 19, PROT_READ | PROT_WRITE, MAP_SHARED);
  if (!map) return;
  p.Unlink("m");
  p.Close(fd);
  p.Note(Quote(std::string(map, 19)));
  std::memcpy(map, "MAPPED", 6);
  p.Make("m", "another");
  p.Note(Quote(std::string(map, 19)));
  p.Content("m");
}

PXFS_SCENARIO(ExecuteAProgramAndRefuseToWriteIt) {
  p.Make("script", "#!/bin/sh\nexit 7\n", 0755);
  const auto run = [&](const char* program) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::execl(program, program, static_cast<char*>(nullptr));
      ::_exit(errno == EACCES ? 126 : 127);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    p.Note(std::string(program) + " exits with " + std::to_string(WEXITSTATUS(status)));
  };
  run("./script");
  p.Chmod("script", 0644);
  run("./script");
  const int in = p.Open("/bin/sleep", O_RDONLY);
  const int out = p.Open("program", O_WRONLY | O_CREAT, 0755);
  long n;
  while ((n = ::copy_file_range(in, nullptr, out, nullptr, 1 << 20, 0)) > 0) {
  }
  p.Close(out);
  int ready[2];
  if (::pipe2(ready, O_CLOEXEC) != 0) return;
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl("./program", "sleep", "600", static_cast<char*>(nullptr));
    ::_exit(127);
  }
  ::close(ready[1]);
  char byte;
  // The end of the pipe closes when the program has been executed.
  if (::read(ready[0], &byte, 1) == 0) p.Open("program", O_WRONLY);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  p.Close(p.Open("program", O_WRONLY));
}

// Writing through a map moves the times, at the latest when it is synced, and each time again.
PXFS_SCENARIO(MmapMovesTimes) {
  p.Make("f", std::string(8192, 'a'));
  const int fd = p.Open("f", O_RDWR);
  p.Times("f", "mc");
  void* const mapped = ::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  p.Try("mmap", [&] { return mapped == MAP_FAILED ? -1 : 0; });
  if (mapped == MAP_FAILED) return;
  auto* const bytes = static_cast<volatile char*>(mapped);
  for (int round = 0; round < 3; ++round) {
    p.Tick();
    p.Note(std::string(1, bytes[round]));
    p.Do("msync unwritten", [&] { return ::msync(mapped, 8192, MS_SYNC); });
    p.Times("f", "mc");
    p.Tick();
    bytes[round] = static_cast<char>('A' + round);
    p.Do("msync", [&] { return ::msync(mapped, 8192, MS_SYNC); });
    p.Times("f", "mc");
  }
  p.Tick();
  bytes[5000] = 'z';
  ::munmap(mapped, 8192);
  p.Do("fsync", [&] { return ::fsync(fd); });
  p.Close(fd);
  p.Times("f", "mc");
  p.Content("f");
}

}  // namespace pxfs::test
