// The operations that fsops can time.
#pragma once

#include <span>

#include "bench/fsops/dataset.h"
#include "bench/fsops/meter.h"

namespace pxfs::bench {

// Which caches of the kernel must be empty when an operation begins; the caller of fsops drops
// them, as only it knows what else runs.
enum class Cold { kNo, kNames, kEverything };

struct Operation {
  const char* name;
  const char* unit;  // of the rate
  const char* what;  // for people
  Cold cold;
  bool read_only;                // can be measured on a read-only mount that holds the data set
  void (*prepare)(const Plan&);  // not timed
  void (*run)(const Plan&, int, Recorder&);  // one thread's loop
  bool fresh_pages = false;  // fills pages that the kernel has to find first, at gigabytes a second
};

std::span<const Operation> MetadataOperations();
std::span<const Operation> DataOperations();

}  // namespace pxfs::bench
