// Reading, writing, truncation, holes and the calls that move data within the kernel.
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "tests/mount/scenario.h"
#include "tests/mount/scenarios/data_probe.h"

namespace pxfs::test {
namespace {}  // namespace

PXFS_SCENARIO(DataReadWriteOffsets) {
  const int fd = p.Open("a", O_RDWR | O_CREAT);
  p.Write(fd, Pattern(10'000, 1));
  p.Pread(fd, 100, 9'950);
  p.Pread(fd, 100, 10'000);
  p.Pread(fd, 100, 1'000'000);
  p.Pwrite(fd, Pattern(5'000, 2), 7'000);
  p.Fstat(fd);
  p.Pread(fd, 20'000, 0);
  p.Seek(fd, -10, SEEK_SET);
  p.Seek(fd, 10, SEEK_END);
  p.Write(fd, "beyond");
  p.Fstat(fd);
  p.Pread(fd, 30, 11'990);
  p.Write(fd, "");
  p.Pwrite(fd, "x", -1);
  void* bad = ::mmap(nullptr, 4'096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  p.Do("write from a bad address", [&] { return ::write(fd, bad, 4'096); });
  p.Do("read into a bad address", [&] { return ::pread(fd, bad, 4'096, 0); });
  p.Do("fsync", [&] { return ::fsync(fd); });
  p.Do("fdatasync", [&] { return ::fdatasync(fd); });
  p.Close(fd);
  p.Content("a");
}

PXFS_SCENARIO(DataLargeAndUnaligned) {
  const int fd = p.Open("big", O_RDWR | O_CREAT);
  for (int i = 0; i < 12; ++i)
    p.Pwrite(fd, Pattern(700'001, static_cast<unsigned>(i)), i * 650'003l);
  p.Fstat(fd);
  for (int i = 0; i < 12; ++i) p.Pread(fd, 1'000'003, i * 600'007l);
  p.Close(fd);
  p.Content("big");
  p.Make("big", Pattern(3, 9));
  p.Content("big");
}

PXFS_SCENARIO(DataVectors) {
  const int fd = p.Open("v", O_RDWR | O_CREAT);
  std::string a = "first", b(5'000, 'b'), c = "third";
  const iovec out[] = {{a.data(), a.size()}, {b.data(), b.size()}, {c.data(), c.size()}};
  p.Do("pwritev", [&] { return ::pwritev(fd, out, 3, 7); });
  std::string x(6, '\0'), y(6'000, '\0');
  const iovec in[] = {{x.data(), x.size()}, {y.data(), y.size()}};
  p.Do("preadv", [&] { return ::preadv(fd, in, 2, 5); });
  p.Note(Quote(x));
  p.Note(Quote(y));
  p.Do("pwritev2 append", [&] { return ::pwritev2(fd, out, 1, 0, RWF_APPEND); });
  p.Do("pwritev2 dsync", [&] { return ::pwritev2(fd, out, 1, 0, RWF_DSYNC); });
  p.Content("v");
}

PXFS_SCENARIO(DataTruncateAndExtend) {
  p.Make("a", Pattern(10'000, 3));
  p.Truncate("a", 5'000);
  p.Stat("a");
  p.Truncate("a", 8'000);  // what lay behind the cut is zero now
  p.Content("a");
  const int fd = p.Open("a", O_RDWR);
  p.Ftruncate(fd, 4'097);
  p.Ftruncate(fd, 20'000);
  p.Pread(fd, 20'000, 0);
  p.Fstat(fd);
  p.Ftruncate(fd, -1);
  p.Truncate("a", -1);
  p.Truncate("missing", 0);
  p.Mkdir("d");
  p.Truncate("d", 0);
  p.Symlink("a", "link");
  p.Truncate("link", 10);
  p.Fstat(fd);
  p.Ftruncate(fd, 1l << 40);
  p.Fstat(fd);
  p.Pread(fd, 10, (1l << 40) - 5);
  p.Ftruncate(fd, 0);
  p.Fstat(fd);
  p.Write(fd, "tail");
  p.Content("a");
}

PXFS_SCENARIO(DataHoles) {
  const int fd = p.Open("sparse", O_RDWR | O_CREAT);
  p.Ftruncate(fd, 10 << 20);
  Extents(p, fd);
  p.Pwrite(fd, Pattern(65'536, 1), 1 << 20);
  p.Pwrite(fd, Pattern(65'536, 2), 5 << 20);
  Extents(p, fd);
  p.Seek(fd, 10 << 20, SEEK_DATA);
  p.Seek(fd, 11 << 20, SEEK_HOLE);
  p.Seek(fd, -1, SEEK_DATA);
  p.Pread(fd, 131'072, (1 << 20) - 10);
  struct stat st {};
  p.Do("fstat", [&] { return ::fstat(fd, &st); });
  p.Note(st.st_blocks * 512 < st.st_size ? "it is sparse" : "it is not sparse");
  p.Close(fd);
  p.Content("sparse");
}

PXFS_SCENARIO(DataFallocate) {
  const int fd = p.Open("f", O_RDWR | O_CREAT);
  p.Write(fd, Pattern(1 << 20, 4));
  Fallocate(p, fd, 0, 0, 2 << 20);
  p.Fstat(fd);
  Fallocate(p, fd, FALLOC_FL_KEEP_SIZE, 0, 4 << 20);
  p.Fstat(fd);
  Fallocate(p, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 65'536, 131'072);
  Fallocate(p, fd, FALLOC_FL_PUNCH_HOLE, 0, 4'096);
  Fallocate(p, fd, FALLOC_FL_ZERO_RANGE, 400'001, 100'000);
  Fallocate(p, fd, 0, 0, 0);
  Fallocate(p, fd, 0, -1, 10);
  p.Close(fd);
  p.Content("f");
  p.Stat("f");
  const int reader = p.Open("f", O_RDONLY);
  Fallocate(p, reader, 0, 0, 8 << 20);
  p.Mkdir("d");
  Fallocate(p, p.Open("d", O_RDONLY), 0, 0, 10);
}

PXFS_SCENARIO(DataCopyWithinTheKernel) {
  p.Make("source", Pattern(300'000, 5));
  const int in = p.Open("source", O_RDONLY), out = p.Open("copy", O_RDWR | O_CREAT);
  off_t from = 1'000, to = 50;
  p.Do("copy_file_range", [&] { return ::copy_file_range(in, &from, out, &to, 200'000, 0); });
  p.Note("offsets " + std::to_string(from) + " " + std::to_string(to));
  p.Do("copy_file_range at the end", [&] {
    from = 300'000;
    return ::copy_file_range(in, &from, out, &to, 10, 0);
  });
  p.Do("copy_file_range with flags",
       [&] { return ::copy_file_range(in, nullptr, out, nullptr, 10, 77); });
  p.Do("copy_file_range to a reader",
       [&] { return ::copy_file_range(out, nullptr, in, nullptr, 10, 0); });
  p.Do("copy_file_range within one file", [&] {
    off_t a = 0, b = 100'000;
    return ::copy_file_range(out, &a, out, &b, 50'000, 0);
  });
  p.Do("copy_file_range onto itself", [&] {
    off_t a = 0, b = 10;
    return ::copy_file_range(out, &a, out, &b, 100, 0);
  });
  p.Close(out);
  p.Content("copy");
  const int sent = p.Open("sent", O_RDWR | O_CREAT);
  off_t offset = 5;
  p.Do("sendfile", [&] { return ::sendfile(sent, in, &offset, 100'000); });
  p.Content("sent");
  int pipe_fds[2];
  p.Do("pipe", [&] { return ::pipe(pipe_fds); });
  loff_t spliced = 100;
  p.Do("splice out", [&] { return ::splice(in, &spliced, pipe_fds[1], nullptr, 30'000, 0); });
  loff_t at = 0;
  p.Do("splice in", [&] { return ::splice(pipe_fds[0], nullptr, sent, &at, 30'000, 0); });
  p.Content("sent");
}

PXFS_SCENARIO(DataOfDirectoriesAndOtherTypes) {
  p.Mkdir("d");
  const int directory = p.Open("d", O_RDONLY);
  p.Read(directory, 10);
  p.Do("fsync of a directory", [&] { return ::fsync(directory); });
  p.Do("ftruncate of a directory", [&] { return ::ftruncate(directory, 0); });
  p.Do("syncfs", [&] { return ::syncfs(directory); });
  p.Mknod("fifo", S_IFIFO | 0644);
  p.Truncate("fifo", 0);
}

PXFS_SCENARIO(DataSizeLimit) {
  // Beyond what the file system below can hold; lseek itself has another limit on each, so it is
  // not tried.
  constexpr off_t kTooLarge = 17l << 40;
  const int fd = p.Open("a", O_RDWR | O_CREAT);
  p.Pwrite(fd, "xx", kTooLarge);
  p.Fstat(fd);
  p.Ftruncate(fd, kTooLarge);
  p.Truncate("a", kTooLarge);
  p.Do("fallocate", [&] { return ::fallocate(fd, 0, kTooLarge, 1); });
  p.Fstat(fd);
}

}  // namespace pxfs::test
