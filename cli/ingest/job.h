// What the parts of one ingest share.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cli/ingest/ingest.h"

namespace pxfs::cli {

// Everything goes below one directory that exists: paths in the namespace are relative to it.
struct Destination {
  InodeId directory;
  std::string path;  // of it, from the root: "/data", or "" for the root itself

  std::string FullPath(const std::string& relative) const { return path + "/" + relative; }
};

// A source and where it goes: `relative` to the destination; empty: its entries go right into the
// destination.
struct Root {
  std::string source;  // as given, without trailing slashes
  std::string relative;
};

struct FileTask {
  std::string source;
  std::string relative;
  uint64_t size_bytes = 0;
  VolumeId adopt_on;  // the volume whose disk it lies on, with --adopt; else 0
};

struct Batch {
  // The nearest directory above the files whose policy may be its own, and how much of `relative`
  // leads to it.
  InodeId policy_directory;
  size_t policy_prefix = 0;
  std::vector<FileTask> files;
  uint64_t bytes = 0;
};

class IngestJob {
 public:
  IngestJob(Cluster& cluster_, const IngestOptions& options_, IngestCounters& counters_,
            Problems& problems_)
      : cluster(cluster_), options(options_), counters(counters_), problems(problems_) {}

  Cluster& cluster;
  const IngestOptions& options;
  IngestCounters& counters;
  Problems& problems;
  // Set before the workers start.
  meta::CallContext ctx;
  Destination destination;

  // Ends everything with this error; the first one counts.
  void Abort(const Error& error) {
    std::lock_guard lock(mutex_);
    if (!fatal_) fatal_ = error;
    aborted_ = true;
  }
  bool Stopping() const { return aborted_ || (options.stop && *options.stop); }
  Status Outcome() const {
    std::lock_guard lock(mutex_);
    if (fatal_) return Fail(*fatal_);
    if (options.stop && *options.stop) return Fail(Code::kInterrupted);
    return {};
  }

  // With --move: to be removed once all is durable. Sources of files that were published or
  // skipped.
  void RemoveLater(const std::string& source) {
    if (!options.move) return;
    std::lock_guard lock(mutex_);
    to_remove_.push_back(source);
  }
  std::vector<std::string> TakeToRemove() {
    std::lock_guard lock(mutex_);
    return std::move(to_remove_);
  }

 private:
  mutable std::mutex mutex_;  // guards fatal_ and to_remove_
  std::optional<Error> fatal_;
  std::atomic<bool> aborted_{false};
  std::vector<std::string> to_remove_;
};

// Errors of the service that say that going on is of no use.
inline bool IsFatal(const Error& error) {
  return error == Code::kUnavailable || error == Code::kCorruption || error == Code::kIo ||
         error == Code::kNotPermitted;
}

}  // namespace pxfs::cli
