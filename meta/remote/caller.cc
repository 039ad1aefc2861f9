#include "meta/remote/caller.h"

#include <algorithm>

#include "base/logging.h"

namespace pxfs::meta::remote {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

Result<std::unique_ptr<Caller>> Caller::Connect(const std::string& path, milliseconds retry) {
  PXFS_ASSIGN(auto client, rpc::ConnectUnix(path));
  return std::make_unique<Caller>(path, std::move(client), retry);
}

Result<std::string> Caller::Call(pb::Method method, std::string_view request) {
  const uint64_t number = client_->NewNumber();
  steady_clock::time_point deadline;
  for (int attempt = 0;; ++attempt) {
    rpc::Outcome outcome;
    auto reply = client_->Call(rpc::Service::kMetadata, static_cast<uint16_t>(method), request,
                               &outcome, number);
    if (reply || outcome == rpc::Outcome::kAnswered) return reply;
    // Anything else will not be better the next time.
    if (reply.error().code() != Code::kUnavailable) return reply;
    if (attempt == 0) {
      deadline = steady_clock::now() + retry_;
      log::debug("{}; trying again for {} ms", reply.error().message(), retry_.count());
    }
    if (!Pause(attempt, deadline)) return reply;
  }
}

Result<std::string> Caller::CallOnce(pb::Method method, std::string_view request, bool* answered) {
  rpc::Outcome outcome;
  auto reply =
      client_->Call(rpc::Service::kMetadata, static_cast<uint16_t>(method), request, &outcome);
  *answered = outcome == rpc::Outcome::kAnswered;
  return reply;
}

bool Caller::Pause(int attempt, steady_clock::time_point until) {
  const milliseconds pause(std::min(5 << std::min(attempt, 6), 250));
  const auto wake = std::min(until, steady_clock::now() + pause);
  std::unique_lock lock(mutex_);
  closing_.wait_until(lock, wake, [this] { return closed_; });
  return !closed_ && steady_clock::now() < until;
}

void Caller::Close() {
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    closing_.notify_all();
  }
  client_->Close();
}

bool Caller::closed() const {
  std::lock_guard lock(mutex_);
  return closed_;
}

}  // namespace pxfs::meta::remote
