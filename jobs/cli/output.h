// Printing what tasks wrote.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "base/result.h"
#include "jobs/client.h"

namespace pxfs::jobs::cli {

struct OutputOptions {
  bool follow = false;  // wait until the task has ended
  bool only_stderr = false;
  int64_t tail_lines = -1;  // only the last ones of what is there; below 0: all
  std::string prefix;       // of each line
};

// Prints a task's standard output and standard error on those of this process.
Status PrintOutput(Client& client, uint64_t job, uint32_t task, const OutputOptions& options);
// Of every task, one after the other, each line with its task's number where there are several.
// With `follow`, waits until it is known how many there are.
Status PrintAllOutput(Client& client, uint64_t job, OutputOptions options);

}  // namespace pxfs::jobs::cli
