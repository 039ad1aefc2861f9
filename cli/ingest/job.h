// What the parts of one ingest share.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
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
  VolumeId adopt_on;    // the volume whose disk it lies on, with --adopt; else 0
  bool linked = false;  // has further names, which may follow
};

// A source as it was when it was brought in, so that nothing else is removed in its place.
struct SourceState {
  dev_t device = 0;
  ino_t inode = 0;
  mode_t type = 0;
  off_t size_bytes = 0;
  struct timespec mtime = {};

  static SourceState Of(const struct stat& st) {
    return {st.st_dev, st.st_ino, st.st_mode & S_IFMT, st.st_size, st.st_mtim};
  }
  bool operator==(const SourceState& other) const {
    return device == other.device && inode == other.inode && type == other.type &&
           size_bytes == other.size_bytes && mtime.tv_sec == other.mtime.tv_sec &&
           mtime.tv_nsec == other.mtime.tv_nsec;
  }
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
  using Removable = std::pair<std::string, SourceState>;
  void RemoveLater(const std::string& source, const SourceState& state) {
    if (!options.move) return;
    std::lock_guard lock(mutex_);
    to_remove_.emplace_back(source, state);
  }
  std::vector<Removable> TakeToRemove() {
    std::lock_guard lock(mutex_);
    return std::move(to_remove_);
  }

  // The name of a file with several links is in, or was there already and is the same: its further
  // names may become links to it.
  void NoteFirstName(const std::string& relative) {
    std::lock_guard lock(mutex_);
    first_names_.insert(relative);
  }
  bool HasFirstName(const std::string& relative) const {
    std::lock_guard lock(mutex_);
    return first_names_.contains(relative);
  }

 private:
  mutable std::mutex mutex_;  // guards everything but aborted_
  std::optional<Error> fatal_;
  std::atomic<bool> aborted_{false};
  std::vector<Removable> to_remove_;
  std::unordered_set<std::string> first_names_;
};

// Errors of the service that say that going on is of no use.
inline bool IsFatal(const Error& error) {
  return error == Code::kUnavailable || error == Code::kCorruption || error == Code::kIo ||
         error == Code::kNotPermitted;
}

}  // namespace pxfs::cli
