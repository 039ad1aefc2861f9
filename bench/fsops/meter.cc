#include "bench/fsops/meter.h"

#include <unistd.h>

#include <algorithm>
#include <barrier>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <thread>

namespace pxfs::bench {
namespace {

// Set while Measure runs; every recorder's Start meets there.
std::barrier<>* starting_line = nullptr;

double Percentile(std::vector<uint32_t>& sorted_ns, double fraction) {
  if (sorted_ns.empty()) return 0;
  const size_t index = static_cast<size_t>(fraction * static_cast<double>(sorted_ns.size() - 1));
  return sorted_ns[index] / 1000.0;
}

}  // namespace

Recorder::Recorder(double seconds) : budget_(static_cast<int64_t>(seconds * 1e9)) {
  latencies_ns_.reserve(1 << 20);
}

void Recorder::Start() {
  starting_line->arrive_and_wait();
  start_ = last_ = Clock::now();
  deadline_ = start_ + budget_;
}

void Recorder::Done(uint64_t operations) {
  const auto now = Clock::now();
  const uint64_t each = static_cast<uint64_t>((now - last_).count()) / operations;
  latencies_ns_.push_back(
      static_cast<uint32_t>(std::min<uint64_t>(each, std::numeric_limits<uint32_t>::max())));
  operations_ += operations;
  last_ = now;
}

Measurement Measure(int threads, double seconds, const std::function<void(int, Recorder&)>& body) {
  std::barrier<> line(threads);
  starting_line = &line;
  std::vector<Recorder> recorders(threads, Recorder(seconds));
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i) running.emplace_back([&, i] { body(i, recorders[i]); });
  for (std::thread& thread : running) thread.join();
  starting_line = nullptr;

  Measurement result;
  auto first = Recorder::Clock::time_point::max();
  auto last = Recorder::Clock::time_point::min();
  std::vector<uint32_t> all;
  for (const Recorder& recorder : recorders) {
    first = std::min(first, recorder.start_);
    last = std::max(last, recorder.last_);
    result.operations += recorder.operations_;
    all.insert(all.end(), recorder.latencies_ns_.begin(), recorder.latencies_ns_.end());
  }
  std::sort(all.begin(), all.end());
  result.seconds = std::chrono::duration<double>(last - first).count();
  result.p50_us = Percentile(all, 0.50);
  result.p99_us = Percentile(all, 0.99);
  result.max_us = Percentile(all, 1);
  return result;
}

void Die(const std::string& what) {
  std::fprintf(stderr, "fsops: %s: %s\n", what.c_str(), std::strerror(errno));
  _exit(1);
}

}  // namespace pxfs::bench
