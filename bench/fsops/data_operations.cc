#include <fcntl.h>
#include <unistd.h>

#include <random>

#include "bench/fsops/operations.h"

namespace pxfs::bench {
namespace {

int OpenBig(const Plan& plan, int thread, int flags) {
  const std::string path = plan.Directory("big", thread) + "/file";
  const int fd = open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0) Die(path);
  return fd;
}

void CloseBig(int fd) {
  if (close(fd) != 0) Die("close");
}

void ReadAll(const Plan& plan, int fd, std::vector<char>& buffer, Recorder* recorder) {
  for (uint64_t offset = 0; offset < plan.big_bytes; offset += kBlockBytes) {
    const ssize_t n = pread(fd, buffer.data(), kBlockBytes, static_cast<off_t>(offset));
    if (n != static_cast<ssize_t>(kBlockBytes)) Die("read");
    if (recorder) recorder->Done();
  }
}

// Reads the whole file through the same descriptor first: some file systems drop a file's pages
// when it is opened.
template <typename F>
void RandomBlocks(const Plan& plan, int thread, int flags, Recorder& recorder, F&& operation) {
  const int fd = OpenBig(plan, thread, flags);
  std::vector<char> block(kBlockBytes);
  ReadAll(plan, fd, block, nullptr);
  std::minstd_rand random(static_cast<unsigned>(thread + 1));
  const uint64_t blocks = plan.big_bytes / kSmallBytes;
  recorder.Start();
  while (!recorder.over()) {
    const auto offset = static_cast<off_t>(random() % blocks * kSmallBytes);
    if (operation(fd, offset) != static_cast<ssize_t>(kSmallBytes)) Die("random access");
    recorder.Done();
  }
  CloseBig(fd);
}

void RandomRead(const Plan& plan, int thread, Recorder& recorder) {
  char buffer[kSmallBytes];
  RandomBlocks(plan, thread, O_RDONLY, recorder,
               [&](int fd, off_t offset) { return pread(fd, buffer, sizeof buffer, offset); });
}

void RandomWrite(const Plan& plan, int thread, Recorder& recorder) {
  const char buffer[kSmallBytes] = {7};
  RandomBlocks(plan, thread, O_RDWR, recorder,
               [&](int fd, off_t offset) { return pwrite(fd, buffer, sizeof buffer, offset); });
}

// As a database does it to its log.
void OverwriteAndSync(const Plan& plan, int thread, Recorder& recorder) {
  const char buffer[kSmallBytes] = {8};
  RandomBlocks(plan, thread, O_RDWR, recorder, [&](int fd, off_t offset) {
    const ssize_t n = pwrite(fd, buffer, sizeof buffer, offset);
    if (fdatasync(fd) != 0) Die("fdatasync");
    return n;
  });
}

void SequentialRead(const Plan& plan, int thread, Recorder& recorder) {
  const int fd = OpenBig(plan, thread, O_RDONLY);
  std::vector<char> buffer(kBlockBytes);
  ReadAll(plan, fd, buffer, nullptr);
  recorder.Start();
  do {
    ReadAll(plan, fd, buffer, &recorder);
  } while (!recorder.over());
  CloseBig(fd);
}

void SequentialReadCold(const Plan& plan, int thread, Recorder& recorder) {
  std::vector<char> buffer(kBlockBytes);
  const int fd = OpenBig(plan, thread, O_RDONLY);
  recorder.Start();
  ReadAll(plan, fd, buffer, &recorder);
  CloseBig(fd);
}

void SequentialWrite(const Plan& plan, int thread, Recorder& recorder) {
  const std::vector<char> buffer(kBlockBytes, 'w');
  EnterDirectory(plan.Directory("written", thread));
  const int fd = open("file", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
  if (fd < 0) Die("file");
  recorder.Start();
  for (uint64_t done = 0; done < plan.big_bytes; done += kBlockBytes) {
    if (write(fd, buffer.data(), kBlockBytes) != static_cast<ssize_t>(kBlockBytes)) Die("write");
    recorder.Done();
  }
  CloseBig(fd);
}

void PrepareWrite(const Plan& plan) { MakeEmptyDirectories(plan, "written"); }

constexpr Operation kOperations[] = {
    {"random_read", "ops/s", "random 4 KiB reads, cached", Cold::kNo, true, MakeBigFiles,
     RandomRead},
    {"random_write", "ops/s", "random 4 KiB writes, without fsync", Cold::kNo, false, MakeBigFiles,
     RandomWrite},
    {"overwrite_sync", "ops/s", "random 4 KiB overwrites, each with fdatasync", Cold::kNo, false,
     MakeBigFiles, OverwriteAndSync},
    {"seq_read", "MiB/s", "sequential 1 MiB reads, cached", Cold::kNo, true, MakeBigFiles,
     SequentialRead},
    {"seq_read_cold", "MiB/s", "sequential 1 MiB reads, after all caches were dropped",
     Cold::kEverything, true, MakeBigFiles, SequentialReadCold, true},
    {"seq_write", "MiB/s", "sequential 1 MiB writes of a new file, without fsync", Cold::kNo, false,
     PrepareWrite, SequentialWrite, true},
};

}  // namespace

std::span<const Operation> DataOperations() { return kOperations; }

}  // namespace pxfs::bench
