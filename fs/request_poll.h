// RequestPoll: waits a moment for the next request before a thread goes to sleep for it.
//
// A program that works on files sends its next request some microseconds after the reply to the one
// before. To put the serving thread to sleep in between and to wake it, often on an idle processor,
// costs more than most requests do. So some of the threads that serve look for requests for up to
// kPatience first, and give the processor away between two looks: whoever else can run, the program
// itself first of all, runs. Measured: docs/performance.md.
//
// Where the processors are busy with other work, giving one away means to be without it for long.
// A thread that notices this sleeps like any other for its next kBackOff requests.
#pragma once

#include <atomic>
#include <chrono>

namespace pxfs::fs {

class RequestPoll {
 public:
  static constexpr std::chrono::microseconds kPatience{25};
  static constexpr std::chrono::microseconds kLostProcessor{1500};
  static constexpr int kBackOff = 50;

  // At most `threads` threads poll at a time; 0: none.
  explicit RequestPoll(int threads) : places_(threads) {}

  // Returns when `fd` can be read, or after some time, whichever comes first. Thread-safe.
  void Wait(int fd);

 private:
  std::atomic<int> places_;  // for threads that poll
};

}  // namespace pxfs::fs
