// The last replies to calls that change something, by client and number of the call, so that a call
// that is repeated after its connection broke is not run again but gets its first answer.
// Thread-safe.
//
// A client repeats only what it has no answer to, so that a few hundred replies are far more than
// are ever asked for.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "base/result.h"
#include "rpc/server.h"

namespace pxfs::meta::remote {

class ReplyCache {
 public:
  // The reply to this call of the peer: `run`'s, or what it was the first time. Waits for a first
  // run that is not over.
  Result<std::string> Run(const rpc::Peer& peer, const std::function<Result<std::string>()>& run);
  void Disconnected(const rpc::Peer& peer);

 private:
  struct Client {
    std::unordered_map<uint64_t, std::optional<Result<std::string>>> replies;  // nothing: running
    std::deque<uint64_t> finished;                                             // oldest first
    size_t bytes = 0;
    std::unordered_set<uint64_t> connections;
    std::chrono::steady_clock::time_point gone_since;
  };
  static constexpr size_t kMaxReplies = 512;
  static constexpr size_t kMaxBytes = 8 << 20;
  // How long a client without connections is remembered.
  static constexpr std::chrono::seconds kMemory{60};

  void Finish(Client& client, uint64_t number, Result<std::string> reply);

  std::mutex mutex_;  // guards what follows
  std::condition_variable finished_;
  std::unordered_map<uint64_t, Client> clients_;
};

}  // namespace pxfs::meta::remote
