// The files that operations work on. Every thread has directories of its own:
//   data/tN/f0, f1, ...  small files of 4 KiB        big/tN/file  one large file
// and, made and removed by operations, new/tN, new4k/tN, links/tN.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pxfs::bench {

inline constexpr uint64_t kSmallBytes = 4096;
inline constexpr uint64_t kBlockBytes = 1 << 20;

struct Plan {
  std::string directory;  // absolute: on the file system to be measured
  int threads = 2;
  uint64_t files = 4000;           // small files per thread
  uint64_t big_bytes = 256 << 20;  // of each large file, a multiple of kBlockBytes
  double seconds = 1;              // for operations that can be repeated at will

  std::string Directory(const char* what, int thread) const;
};

// "PREFIX0" ... "PREFIX<count-1>".
std::vector<std::string> Names(const char* prefix, uint64_t count);

// Makes the small and large files that are not there yet, for reading.
void MakeSmallFiles(const Plan& plan);
void MakeBigFiles(const Plan& plan);

// An empty directory `what`/tN for every thread; what was there is removed.
void MakeEmptyDirectories(const Plan& plan, const char* what);
// Files named by `prefix` in `what`/tN for every thread, `bytes` long; nothing is done if they are
// there.
void EnsureFiles(const Plan& plan, const char* what, const char* prefix, uint64_t bytes);

// Makes `directory` the working directory of the calling thread alone, so that relative names
// measure the operation and not the walk to it.
void EnterDirectory(const std::string& directory);

}  // namespace pxfs::bench
