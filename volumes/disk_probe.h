// Whether a volume's disk can be read at all, which the page cache hides: a read past it, by a
// thread of its own, so that a disk that hangs makes nobody wait who asks for another one.
//
// Thread-safe.
#pragma once

#include <chrono>
#include <memory>
#include <string>

namespace pxfs::volumes {

class DiskProbe {
 public:
  // Who asks waits so long for the answer; then the one of before holds.
  static constexpr std::chrono::milliseconds kPatience{200};
  // A disk that has not answered for so long is not to be used.
  static constexpr std::chrono::seconds kSilence{10};

  DiskProbe();
  ~DiskProbe();
  DiskProbe(const DiskProbe&) = delete;
  DiskProbe& operator=(const DiskProbe&) = delete;

  // Reads the volume's identity file below this directory. Empty: the disk can be read, as far as
  // one knows; else what is wrong. At most one read is under way at a time.
  std::string Look(int root_fd);

 private:
  struct State;
  const std::shared_ptr<State> state_;  // shared with the thread, which may outlive this
};

}  // namespace pxfs::volumes
