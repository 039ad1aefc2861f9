// What a test and tests/survive/crash_shim.cc share: at which step of which FUSE operation a daemon
// dies. It lies in a file that both map, whose path is in the environment variable
// kCrashControlVariable.
#pragma once

#include <atomic>
#include <cstdint>

namespace pxfs::test {

inline constexpr char kCrashControlVariable[] = "PXFS_TEST_CRASH_CONTROL";

struct CrashControl {
  std::atomic<uint32_t> opcode{0};  // FUSE_* of <linux/fuse.h>; 0: nothing happens
  std::atomic<int32_t> steps_left{
      0};                          // system calls that change or send something, before the last
  std::atomic<uint32_t> fired{0};  // 1: the daemon has been killed
};

}  // namespace pxfs::test
