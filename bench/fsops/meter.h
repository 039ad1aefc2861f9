// Times a loop in several threads that start together, with the latency of every operation.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace pxfs::bench {

// One thread's stopwatch. An operation's time ends where the next one's begins, so there is one
// clock call each.
class Recorder {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Recorder(double seconds);
  void Start();
  // `operations` have been done since Start or the last call.
  void Done(uint64_t operations = 1);
  // The time for this loop is over.
  bool over() const { return last_ >= deadline_; }

 private:
  friend struct Measurement Measure(int, double, const std::function<void(int, Recorder&)>&);
  const std::chrono::nanoseconds budget_;
  Clock::time_point start_, last_, deadline_;
  uint64_t operations_ = 0;
  std::vector<uint32_t> latencies_ns_;
};

struct Measurement {
  uint64_t operations = 0;
  double seconds = 0;  // from the common start to the end of the last thread
  double p50_us = 0, p99_us = 0, max_us = 0;
};

// Runs body(thread, recorder) in `threads` threads. The body begins with recorder.Start(), which
// waits for all of them, and stops by itself or when recorder.over().
Measurement Measure(int threads, double seconds, const std::function<void(int, Recorder&)>& body);

// Ends the program with one line on standard error: what failed, and errno's text. A benchmark with
// errors has no result.
[[noreturn]] void Die(const std::string& what);

}  // namespace pxfs::bench
