// The server's end of one client's invalidations: batches in order, kept until the client says that
// it has dropped them. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "meta/remote/codec.h"
#include "meta/service.h"

namespace pxfs::meta::remote {

class InvalidationChannel {
 public:
  static Result<std::shared_ptr<InvalidationChannel>> Make();
  InvalidationChannel(uint64_t id, UniqueFd wake) : id_(id), wake_(std::move(wake)) {}

  // Where batches come from: one listener of the client, in one of its lives.
  struct Source {
    const uint64_t listener;
    bool released = false;  // guarded by the channel
  };

  // Returns once the client has dropped the items, or there is nobody to wait for: the client is
  // gone, the source has been released, or the server stops. Items stay queued in case the client
  // comes back.
  void Deliver(Source& source, std::span<const Invalidation> items);
  // Nobody waits for the source any more.
  void Release(Source& source);

  // Answers a poll: blocks until there is something to send, `wait` is over, a later poll comes, or
  // the peer has closed `socket`.
  void Poll(const pb::WatchRequest& request, int socket, std::chrono::milliseconds wait,
            pb::WatchReply& reply);

  void SetConnected(bool connected);
  void Stop();

 private:
  struct Batch {
    uint64_t sequence = 0;
    uint64_t listener = 0;
    std::vector<Invalidation> items;
  };
  // Beyond this a listener that is behind is told to drop everything instead.
  static constexpr size_t kMaxItems = 100'000;
  // In one reply.
  static constexpr size_t kMaxItemsSent = 10'000;

  void Wake();
  // Returns when woken or when the peer hangs up; false at the deadline and in the latter case.
  bool Sleep(int socket, std::chrono::steady_clock::time_point deadline);
  void Collapse();

  const uint64_t id_;
  const UniqueFd wake_;  // an eventfd

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<Batch> batches_;  // not acknowledged yet
  size_t items_ = 0;           // in batches_
  uint64_t last_ = 0;          // sequence number of the newest batch
  uint64_t acknowledged_ = 0;
  uint64_t polls_ = 0;
  bool connected_ = true, stopping_ = false;
};

}  // namespace pxfs::meta::remote
