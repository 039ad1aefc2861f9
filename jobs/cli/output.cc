#include "jobs/cli/output.h"

#include <cstdio>

#include "jobs/record.h"

namespace pxfs::jobs::cli {
namespace {

constexpr uint64_t kWaitMs = 30'000;
constexpr uint64_t kLookMs = 1'000;

struct Line {
  bool is_stderr = false;
  std::string text;  // with its newline, if it has one
};

// Cuts chunks into lines, holding back a last one without newline.
class Printer {
 public:
  explicit Printer(const OutputOptions& options) : options_(options) {}

  void Take(const proto::LogChunk& chunk) {
    if (options_.only_stderr && !chunk.stderr()) return;
    std::string& partial = partial_[chunk.stderr() ? 1 : 0];
    partial += chunk.text();
    size_t begin = 0;
    for (size_t newline = partial.find('\n'); newline != std::string::npos;
         newline = partial.find('\n', begin)) {
      Give({chunk.stderr(), partial.substr(begin, newline + 1 - begin)});
      begin = newline + 1;
    }
    partial.erase(0, begin);
  }

  // All there was until now has been taken: from here on lines go out as they come.
  void CaughtUp() {
    holding_ = false;
    for (const auto& line : held_) Put(line);
    held_.clear();
    std::fflush(stdout);
  }

  void End() {
    for (const bool is_stderr : {false, true}) {
      if (!partial_[is_stderr].empty()) Give({is_stderr, partial_[is_stderr]});
    }
    CaughtUp();
  }

 private:
  void Give(Line line) {
    if (options_.tail_lines < 0 || !holding_) return Put(line);
    held_.push_back(std::move(line));
    if (held_.size() > static_cast<size_t>(options_.tail_lines)) held_.pop_front();
  }

  void Put(const Line& line) const {
    std::FILE* const out = line.is_stderr ? stderr : stdout;
    std::fputs(options_.prefix.c_str(), out);
    std::fwrite(line.text.data(), 1, line.text.size(), out);
  }

  const OutputOptions& options_;
  std::string partial_[2];
  std::deque<Line> held_;
  bool holding_ = true;
};

}  // namespace

Status PrintOutput(Client& client, uint64_t job, uint32_t task, const OutputOptions& options) {
  Printer printer(options);
  proto::LogRequest request;
  request.set_id(job);
  request.set_task(task);
  while (true) {
    PXFS_ASSIGN(const proto::LogReply reply, client.ReadLog(request));
    for (const auto& chunk : reply.chunks()) printer.Take(chunk);
    const bool more = reply.next_offset() > request.offset();
    request.set_offset(reply.next_offset());
    if (more) continue;
    if (reply.end() || !options.follow) {
      printer.End();
      return {};
    }
    printer.CaughtUp();
    request.set_timeout_ms(kWaitMs);
  }
}

Status PrintAllOutput(Client& client, uint64_t job, OutputOptions options) {
  PXFS_ASSIGN(proto::ShowReply shown, client.Show(job));
  while (options.follow && shown.job().task_count() == 0 && !IsEnded(shown.job().state())) {
    // Returns when the job ends, else after a while: how many tasks there are is known within
    // moments or not for long.
    proto::WaitRequest wait;
    wait.set_id(job);
    wait.set_timeout_ms(kLookMs);
    PXFS_TRY(client.Wait(wait));
    PXFS_ASSIGN(shown, client.Show(job));
  }
  for (uint32_t task = 0; task < shown.job().task_count(); ++task) {
    options.prefix = shown.job().task_count() > 1 ? "[" + std::to_string(task) + "] " : "";
    PXFS_TRY(PrintOutput(client, job, task, options));
  }
  return {};
}

}  // namespace pxfs::jobs::cli
