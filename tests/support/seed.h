// Random tests that can be repeated.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>

namespace pxfs::test {

// The seed of this run: $PXFS_SEED, or another one each time. Printed, so that a run that failed
// can be repeated.
inline uint64_t SeedOfRun() {
  const char* given = std::getenv("PXFS_SEED");
  const uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "PXFS_SEED=" << seed << std::endl;
  return seed;
}

}  // namespace pxfs::test
