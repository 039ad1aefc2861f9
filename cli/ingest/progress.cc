#include "cli/ingest/progress.h"

#include <fts.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "base/bytes.h"
#include "cli/output.h"

namespace pxfs::cli {
namespace {

constexpr auto kInterval = std::chrono::milliseconds(150);
constexpr const char* kClearLine = "\r\033[K";

size_t TerminalWidth() {
  struct winsize size;
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string Bar(double share, size_t width) {
  const size_t full = static_cast<size_t>(share * static_cast<double>(width));
  return "[" + std::string(full, '#') + std::string(width - full, '.') + "]";
}

}  // namespace

ProgressBar::ProgressBar(const IngestCounters& counters, std::vector<std::string> sources)
    : counters_(counters),
      counter_([this, sources = std::move(sources)] { CountSources(sources); }),
      drawer_([this] { DrawLoop(); }) {}

ProgressBar::~ProgressBar() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  counter_.join();
  drawer_.join();
}

void ProgressBar::PrintAbove(const std::function<void()>& print) {
  std::lock_guard lock(mutex_);
  std::fputs(kClearLine, stderr);
  print();
}

void ProgressBar::CountSources(const std::vector<std::string>& sources) {
  struct Closer {
    void operator()(FTS* fts) const { ::fts_close(fts); }
  };
  std::vector<std::string> names = sources;
  std::vector<char*> paths;
  for (std::string& name : names) paths.push_back(name.data());
  paths.push_back(nullptr);
  const std::unique_ptr<FTS, Closer> fts(
      ::fts_open(paths.data(), FTS_PHYSICAL | FTS_NOCHDIR, nullptr));
  if (!fts) return;  // then the bar shows no share
  while (const FTSENT* entry = ::fts_read(fts.get())) {
    if (stopping_) return;
    if (entry->fts_info != FTS_F) continue;
    ++total_files_;
    total_bytes_ += static_cast<uint64_t>(entry->fts_statp->st_size);
  }
  counted_ = true;
}

std::string ProgressBar::Line() const {
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  const uint64_t bytes = counters_.bytes_moved + counters_.skipped_bytes;
  const uint64_t files = counters_.files + counters_.skipped;
  std::string line;
  if (counted_) {
    const double total = static_cast<double>(std::max<uint64_t>(total_bytes_ + total_files_, 1));
    const double share = std::min(1.0, static_cast<double>(bytes + files) / total);
    line = Bar(share, 24) + " " + std::to_string(static_cast<int>(share * 100)) + "%  ";
  }
  line +=
      Count(files, "file") + (counted_ ? " of " + Count(total_files_, "file") : "") + ", " +
      FormatBytes(bytes) + (counted_ ? " of " + FormatBytes(total_bytes_) : "") + ", " +
      FormatBytes(static_cast<uint64_t>(static_cast<double>(bytes) / std::max(seconds, 0.001))) +
      "/s";
  return line;
}

void ProgressBar::DrawLoop() {
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, kInterval, [this] { return stopping_.load(); })) {
    std::string line = Line();
    line.resize(std::min(line.size(), TerminalWidth() - 1));
    std::fprintf(stderr, "%s%s", kClearLine, line.c_str());
  }
  std::fputs(kClearLine, stderr);
}

}  // namespace pxfs::cli
