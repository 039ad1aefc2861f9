// The progress bar of an ingest, on a terminal.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cli/ingest/summary.h"

namespace pxfs::cli {

// Counts the sources in a thread of its own and draws on standard error, from construction to
// destruction; then the line is gone.
class ProgressBar {
 public:
  ProgressBar(const IngestCounters& counters, std::vector<std::string> sources);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // Prints a line of its own above the bar.
  void PrintAbove(const std::function<void()>& print);

 private:
  void CountSources(const std::vector<std::string>& sources);
  void DrawLoop();
  std::string Line() const;

  const IngestCounters& counters_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::atomic<uint64_t> total_files_{0}, total_bytes_{0};
  std::atomic<bool> counted_{false};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;  // orders output; guards the wait for stopping_
  std::condition_variable stop_;
  std::thread counter_, drawer_;
};

}  // namespace pxfs::cli
