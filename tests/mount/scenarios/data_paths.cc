// The many ways for data to get into and out of a file, mixed: fallocate in every mode, O_DIRECT,
// maps, pipes, appending, limits of size, and bad buffers.
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>

#include "tests/mount/scenario.h"
#include "tests/mount/scenarios/data_probe.h"

namespace pxfs::test {
namespace {

constexpr off_t kBlock = 4096;

// Runs in a child, whose lines do not count; notes how it ended.
template <typename Run>
void InChild(Probe& p, const std::string& what, Run run) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(run());
  int status = 0;
  ::waitpid(child, &status, 0);
  p.Note(what + (WIFSIGNALED(status) ? ": signal " + std::to_string(WTERMSIG(status))
                                     : ": exit " + std::to_string(WEXITSTATUS(status))));
}

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
using Aligned = std::unique_ptr<char, Free>;
Aligned AlignedBuffer(size_t size) {
  return Aligned(static_cast<char*>(std::aligned_alloc(kBlock, size)));
}

}  // namespace

PXFS_SCENARIO(DataFallocateEveryMode) {
  p.Make("f", Pattern(40 * kBlock, 1));
  const int fd = p.Open("f", O_RDWR);
  Fallocate(p, fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 41 * kBlock, 10 * kBlock);
  p.Fstat(fd);
  Fallocate(p, fd, FALLOC_FL_ZERO_RANGE, 41 * kBlock + 5, 2 * kBlock);
  p.Fstat(fd);
  Fallocate(p, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kBlock / 2, 3 * kBlock);
  Fallocate(p, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1 << 30, kBlock);
  Fallocate(p, fd, FALLOC_FL_UNSHARE_RANGE, 0, kBlock);
  Fallocate(p, fd, FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_KEEP_SIZE, 0, kBlock);
  Fallocate(p, fd, FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE, 0, kBlock);
  Fallocate(p, fd, 0x4000, 0, kBlock);
  Fallocate(p, fd, 0, (1l << 62), (1l << 62));
  Fallocate(p, fd, FALLOC_FL_KEEP_SIZE, 0, 1l << 62);
  Extents(p, fd);
  p.Times("f");
  p.Tick();
  Fallocate(p, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 20 * kBlock, kBlock);
  p.Times("f");
  p.Tick();
  Fallocate(p, fd, FALLOC_FL_KEEP_SIZE, 0, kBlock);
  p.Times("f");
  p.Close(fd);
  p.Content("f");
  const int append = p.Open("f", O_WRONLY | O_APPEND);
  Fallocate(p, append, 0, 0, 60 * kBlock);
  Fallocate(p, append, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, kBlock);
  p.Close(append);
  p.Content("f");
}

PXFS_SCENARIO(DataFallocateShift) {
  p.Make("f", Pattern(40 * kBlock, 1));
  const int fd = p.Open("f", O_RDWR);
  Fallocate(p, fd, FALLOC_FL_COLLAPSE_RANGE, 4 * kBlock, 2 * kBlock);
  Fallocate(p, fd, FALLOC_FL_INSERT_RANGE, 8 * kBlock, 4 * kBlock);
  p.Fstat(fd);
  p.Content("f");
}

PXFS_SCENARIO(DataFallocateUnderAMap) {
  p.Make("f", Pattern(16 * kBlock, 1));
  const int fd = p.Open("f", O_RDWR);
  char* map =
      static_cast<char*>(::mmap(nullptr, 16 * kBlock, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  if (map == MAP_FAILED) return p.Note("no map");
  p.Note("before " + std::to_string(map[5 * kBlock]));
  map[5 * kBlock + 1] = 'x';
  Fallocate(p, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5 * kBlock, kBlock);
  p.Note("after " + std::to_string(map[5 * kBlock]) + " " + std::to_string(map[5 * kBlock + 1]));
  map[3 * kBlock] = 'y';
  Fallocate(p, fd, FALLOC_FL_ZERO_RANGE, 3 * kBlock, 10);
  p.Note("zeroed " + std::to_string(map[3 * kBlock]));
  p.Ftruncate(fd, 2 * kBlock);
  InChild(p, "reading behind the new end", [&] { return map[3 * kBlock] == 0 ? 1 : 2; });
  InChild(p, "writing behind the new end", [&] {
    map[3 * kBlock] = 1;
    return 1;
  });
  p.Ftruncate(fd, 8 * kBlock);
  p.Note("zeros again " + std::to_string(map[3 * kBlock]));
  ::munmap(map, 16 * kBlock);
  p.Close(fd);
  p.Content("f");
}

PXFS_SCENARIO(DataDirectBesideBuffered) {
  p.Make("f", Pattern(64 * kBlock, 1));
  const int direct = p.Open("f", O_RDWR | O_DIRECT), buffered = p.Open("f", O_RDWR);
  const Aligned buffer = AlignedBuffer(8 * kBlock);
  char* at = buffer.get();
  const auto read_direct = [&](size_t size, off_t offset) {
    std::memset(at, '?', 8 * kBlock);
    const long n = p.Do("direct read", [&] { return ::pread(direct, at, size, offset); });
    if (n > 0) p.Note(Quote(std::string(at, std::min<size_t>(static_cast<size_t>(n), 24))));
  };
  read_direct(2 * kBlock, kBlock);
  p.Pwrite(buffered, "buffered", kBlock);
  read_direct(kBlock, kBlock);
  std::memcpy(at, Pattern(4 * kBlock, 9).data(), 4 * kBlock);
  p.Do("direct write", [&] { return ::pwrite(direct, at, 4 * kBlock, 4 * kBlock); });
  p.Pread(buffered, 30, 4 * kBlock + 1000);
  char* map = static_cast<char*>(
      ::mmap(nullptr, 64 * kBlock, PROT_READ | PROT_WRITE, MAP_SHARED, buffered, 0));
  if (map == MAP_FAILED) return p.Note("no map");
  map[20 * kBlock] = '!';
  read_direct(kBlock, 20 * kBlock);
  std::memset(at, 'd', kBlock);
  p.Do("direct write under a map", [&] { return ::pwrite(direct, at, kBlock, 20 * kBlock); });
  p.Note(std::string("in the map ") + map[20 * kBlock]);
  p.Do("direct read into its own map", [&] { return ::pread(direct, map, kBlock, 4 * kBlock); });
  ::munmap(map, 64 * kBlock);
  read_direct(2 * kBlock, 63 * kBlock);  // over the end
  read_direct(kBlock, 64 * kBlock);
  std::memset(at, 'e', 2 * kBlock);
  p.Do("direct write over the end", [&] { return ::pwrite(direct, at, 2 * kBlock, 63 * kBlock); });
  p.Fstat(direct);
  p.Close(direct);
  p.Content("f");
}

PXFS_SCENARIO(DataDirectTurnedOff) {
  p.Make("f", Pattern(2 * kBlock, 1));
  const int direct = p.Open("f", O_RDWR | O_DIRECT);
  p.Do("turn O_DIRECT off", [&] { return ::fcntl(direct, F_SETFL, O_RDWR); });
  p.Pread(direct, 100, 3);
}

PXFS_SCENARIO(DataWithoutWaiting) {
  p.Make("f", "content");
  const int fd = p.Open("f", O_RDWR);
  char bytes[4];
  iovec in{bytes, 4};
  p.Do("RWF_NOWAIT", [&] {
    const ssize_t n = ::preadv2(fd, &in, 1, 0, RWF_NOWAIT);
    return n < 0 && errno == EAGAIN ? 4 : n;
  });
}

PXFS_SCENARIO(DataManyAppenders) {
  p.Make("log");
  constexpr int kWriters = 6, kLines = 60;
  for (int writer = 0; writer < kWriters; ++writer) {
    if (::fork() != 0) continue;
    const int fd = ::open("log", O_WRONLY | O_APPEND);
    const std::string line(99, static_cast<char>('a' + writer));
    for (int i = 0; i < kLines; ++i)
      if (::write(fd, (line + "\n").data(), 100) != 100) ::_exit(1);
    ::_exit(0);
  }
  int failed = 0;
  for (int status; ::wait(&status) > 0;) failed += status != 0;
  p.Note(std::to_string(failed) + " failed");
  p.Stat("log");
  std::string content(kWriters * kLines * 100, '\0');
  const int fd = p.Open("log", O_RDWR | O_APPEND);
  if (::read(fd, content.data(), content.size()) != static_cast<ssize_t>(content.size()))
    p.Note("short");
  std::map<char, int> lines;
  for (size_t i = 0; i < content.size(); i += 100) {
    const std::string line = content.substr(i, 100);
    if (line == std::string(99, line[0]) + "\n") ++lines[line[0]];
  }
  for (const auto& [letter, count] : lines)
    p.Note(std::string(1, letter) + " " + std::to_string(count));
  p.Pwrite(fd, "at the end nevertheless", 5);
  p.Fstat(fd);
  p.Pread(fd, 30, kWriters * kLines * 100);
  p.Seek(fd, 0, SEEK_CUR);
}

PXFS_SCENARIO(DataSizeLimitOfTheProcess) {
  p.Make("f", "0123456789");
  const auto limited = [&](const std::string& what, auto act, bool ignore) {
    InChild(p, what, [&] {
      const rlimit limit{1000, 1000};
      ::setrlimit(RLIMIT_FSIZE, &limit);
      ::signal(SIGXFSZ, ignore ? SIG_IGN : SIG_DFL);
      errno = 0;
      const long result = act();
      return result < 0 ? errno : static_cast<int>(result);
    });
  };
  const int fd = p.Open("f", O_RDWR);
  for (const bool ignore : {false, true}) {
    limited(
        "write over the limit", [&] { return ::pwrite(fd, "abcdefghij", 10, 995); }, ignore);
    limited(
        "write behind the limit", [&] { return ::pwrite(fd, "abc", 3, 1000); }, ignore);
    limited(
        "truncate", [&] { return ::truncate("f", 1001); }, ignore);
    limited(
        "ftruncate", [&] { return ::ftruncate(fd, 2000); }, ignore);
    limited(
        "fallocate", [&] { return ::fallocate(fd, 0, 0, 4096); }, ignore);
    limited(
        "within", [&] { return ::pwrite(fd, "abc", 3, 997); }, ignore);
    p.Fstat(fd);
  }
  const int append = p.Open("f", O_WRONLY | O_APPEND);
  limited(
      "append", [&] { return ::write(append, "abc", 3); }, true);
  p.Fstat(fd);
}

PXFS_SCENARIO(DataFarOffsets) {
  constexpr off_t kLast = 0x7fffffffffffffff;
  const int fd = p.Open("far", O_RDWR | O_CREAT);
  char byte = 'x';
  for (const off_t offset : {kLast, kLast - 1, off_t{1} << 62, off_t{1} << 44, off_t{17} << 40}) {
    const std::string at = std::to_string(offset);
    p.Do("pwrite at " + at, [&] { return ::pwrite(fd, &byte, 1, offset); });
    p.Do("pread at " + at, [&] { return ::pread(fd, &byte, 1, offset); });
    p.Do("ftruncate " + at, [&] { return ::ftruncate(fd, offset); });
    Fallocate(p, fd, 0, offset, 1);
    p.Fstat(fd);
  }
  p.Ftruncate(fd, (1l << 44) - 4096);
  p.Pwrite(fd, "end", (1l << 44) - 4096 - 3);
  p.Pread(fd, 10, (1l << 44) - 4096 - 5);
  p.Fstat(fd);
  p.Ftruncate(fd, 3);
  p.Content("far");
}

PXFS_SCENARIO(DataBadBuffers) {
  p.Make("f", Pattern(4 * kBlock, 1));
  const int fd = p.Open("f", O_RDWR);
  char* two = static_cast<char*>(
      ::mmap(nullptr, 2 * kBlock, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ::mprotect(two + kBlock, kBlock, PROT_NONE);
  std::memset(two, 'z', kBlock);
  p.Do("write that faults halfway", [&] { return ::pwrite(fd, two + kBlock - 100, 200, 50); });
  p.Pread(fd, 160, 40);
  p.Do("write from nowhere", [&] { return ::pwrite(fd, two + kBlock, 200, 0); });
  p.Do("read that faults halfway", [&] { return ::pread(fd, two + kBlock - 100, 200, 0); });
  p.Do("read into nowhere", [&] { return ::pread(fd, two + kBlock, 200, 0); });
  p.Do("read of nothing into nowhere", [&] { return ::pread(fd, two + kBlock, 0, 0); });
  p.Do("write of nothing from nowhere", [&] { return ::pwrite(fd, two + kBlock, 0, 0); });
  p.Do("read at a negative offset", [&] { return ::pread(fd, two, 10, -1); });
  volatile size_t huge = SIZE_MAX / 2 + 1;
  p.Do("a huge read", [&] { return ::pread(fd, two, huge, 0); });
  iovec bad[2] = {{two, 10}, {two + kBlock, 10}};
  p.Do("pwritev with a bad second part", [&] { return ::pwritev(fd, bad, 2, 0); });
  p.Do("preadv with a bad second part", [&] { return ::preadv(fd, bad, 2, 0); });
  p.Do("preadv of no parts", [&] { return ::preadv(fd, bad, 0, 0); });
  const std::vector<iovec> many(5000, iovec{two, 1});
  p.Do("preadv of too many parts", [&] { return ::preadv(fd, many.data(), 5000, 0); });
  p.Fstat(fd);
  // A file written from a map of itself.
  char* self =
      static_cast<char*>(::mmap(nullptr, 4 * kBlock, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  p.Do("written from its own map", [&] { return ::pwrite(fd, self, kBlock, 2 * kBlock); });
  p.Do("read into its own map", [&] { return ::pread(fd, self + 3 * kBlock, kBlock, 0); });
  ::munmap(self, 4 * kBlock);
  p.Close(fd);
  p.Content("f");
}

PXFS_SCENARIO(DataThroughPipes) {
  p.Make("from", Pattern(200'000, 3));
  const int in = p.Open("from", O_RDONLY), out = p.Open("to", O_RDWR | O_CREAT);
  int ends[2];
  if (::pipe(ends) != 0) return p.Note("no pipe");
  loff_t in_at = 0, out_at = 0;
  while (true) {
    const ssize_t n = ::splice(in, &in_at, ends[1], nullptr, 50'000, SPLICE_F_MOVE);
    if (n <= 0) {
      p.Note("splice out ends with " + std::to_string(n));
      break;
    }
    for (ssize_t left = n; left > 0;) {
      const ssize_t done = ::splice(ends[0], nullptr, out, &out_at, static_cast<size_t>(left), 0);
      if (done <= 0) return p.Note("splice in: " + ErrnoName(errno));
      left -= done;
    }
  }
  p.Content("to");
  std::string text = "from memory";
  iovec part{text.data(), text.size()};
  p.Do("vmsplice", [&] { return ::vmsplice(ends[1], &part, 1, 0); });
  out_at = 10;
  p.Do("splice it in", [&] { return ::splice(ends[0], nullptr, out, &out_at, 100, 0); });
  const int append = p.Open("to", O_WRONLY | O_APPEND);
  p.Do("vmsplice", [&] { return ::vmsplice(ends[1], &part, 1, 0); });
  p.Do("splice to an appender",
       [&] { return ::splice(ends[0], nullptr, append, nullptr, 100, 0); });
  off_t from = 199'990;
  p.Do("sendfile over the end", [&] { return ::sendfile(out, in, &from, 100); });
  p.Do("sendfile to an appender", [&] { return ::sendfile(append, in, nullptr, 10); });
  p.Do("copy_file_range to an appender",
       [&] { return ::copy_file_range(in, nullptr, append, nullptr, 10, 0); });
  p.Do("reflink", [&] { return ::ioctl(out, FICLONE, in); });
  file_clone_range range{in, 0, 4096, 0};
  p.Do("reflink of a part", [&] { return ::ioctl(out, FICLONERANGE, &range); });
  p.Content("to");
}

PXFS_SCENARIO(DataCopyRangeEdges) {
  p.Make("a", Pattern(100'000, 4));
  const int a = p.Open("a", O_RDWR);
  const auto copy = [&](const std::string& what, int in, loff_t from, int out, loff_t to,
                        size_t size) {
    p.Do(what, [&] { return ::copy_file_range(in, &from, out, &to, size, 0); });
    p.Note(std::to_string(from) + " " + std::to_string(to));
  };
  copy("overlapping", a, 0, a, 50, 100);
  copy("touching", a, 0, a, 100, 100);
  copy("onto itself", a, 0, a, 0, 100);
  copy("behind the end", a, 200'000, a, 0, 100);
  copy("over the end", a, 99'990, a, 0, 5'000);
  copy("far away", a, 0, a, 1 << 20, 5'000);
  copy("nothing", a, 0, a, 0, 0);
  copy("huge", a, 0, a, 4 << 20, SIZE_MAX / 4);
  copy("negative", a, -1, a, 0, 10);
  p.Fstat(a);
  const int sink = p.Open("a", O_WRONLY), source = p.Open("a", O_RDONLY);
  copy("from what cannot be read", sink, 0, a, 0, 10);
  copy("to what cannot be written", a, 0, source, 0, 10);
  p.Mkdir("d");
  const int directory = p.Open("d", O_RDONLY);
  copy("from a directory", directory, 0, a, 0, 10);
  copy("to a pipe", a, 0, 9999, 0, 10);
  p.Tick();
  p.Times("a");
  copy("a bit", a, 0, a, 1000, 10);
  p.Times("a");
  p.Content("a");
}

PXFS_SCENARIO(DataSynchronousWrites) {
  for (const int flag : {O_SYNC, O_DSYNC}) {
    const int fd = p.Open("s", O_RDWR | O_CREAT | flag);
    p.Write(fd, "first");
    p.Pwrite(fd, "second", 1'000);
    p.Fstat(fd);
    p.Do("sync_file_range", [&] { return ::sync_file_range(fd, 0, 4096, SYNC_FILE_RANGE_WRITE); });
    iovec part{const_cast<char*>("third"), 5};
    p.Do("RWF_SYNC", [&] { return ::pwritev2(fd, &part, 1, 10, RWF_SYNC); });
    p.Do("fadvise", [&] { return ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); });
    p.Do("readahead", [&] { return ::readahead(fd, 0, 4096); });
    p.Close(fd);
    p.Content("s");
  }
}

}  // namespace pxfs::test
