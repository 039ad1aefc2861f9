// DevFuseTransport: requests read from /dev/fuse by a fixed number of threads.
#pragma once

#include <fuse3/fuse_lowlevel.h>
#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <list>
#include <mutex>

#include "base/unique_fd.h"
#include "fs/connection_state.h"
#include "fs/request_poll.h"
#include "fs/transport.h"

namespace pxfs::fs {

class DevFuseTransport final : public Transport {
 public:
  struct Options {
    bool passthrough = true;  // asked for; whether the kernel has it is another matter
    int threads = 4;
    int polling_threads = 2;  // of these, see RequestPoll
  };

  // `device` is an open /dev/fuse, mounted. `state` outlives the transport; where it holds an INIT
  // request, this daemon succeeds an earlier one.
  DevFuseTransport(UniqueFd device, ConnectionState& state, const Options& options);
  ~DevFuseTransport() override;

  Status Attach(fuse_session* session) override;
  Status Serve(const std::function<void()>& ready) override;
  Status Drain(std::chrono::milliseconds limit) override;
  Capabilities capabilities() const override;
  std::string name() const override { return "dev_fuse"; }
  Result<int32_t> OpenBacking(int fd) override;
  void CloseBacking(int32_t id) override;
  void InvalidateAttributes(uint64_t node) override;
  Status ExpireAllNames() override;

 private:
  // A thread that serves.
  struct Server {
    pthread_t thread;
    std::atomic<bool> reading{false};  // it waits for a request, or is about to
  };

  ssize_t Read(void* buffer, size_t size);
  ssize_t Write(iovec* iov, int count);
  ssize_t WriteInitReply(iovec* iov, int count);
  Status Notify(uint32_t code);
  void ServeLoop();

  const UniqueFd device_;
  ConnectionState& state_;
  const Options options_;
  RequestPoll poll_;
  fuse_session* session_ = nullptr;
  std::atomic<bool> replay_init_;         // the next Read answers with the saved INIT request
  std::atomic<uint64_t> init_unique_{0};  // of the INIT request whose reply is awaited
  std::atomic<uint32_t> offered_flags2_{0};
  bool succeeding_;  // an earlier daemon has answered INIT
  std::atomic<bool> passthrough_{false}, resend_{false};
  std::atomic<int> error_{0};
  std::atomic<bool> draining_{false};
  std::mutex servers_mutex_;
  std::condition_variable server_left_;
  std::list<Server> servers_;  // guarded by servers_mutex_
  static inline thread_local Server* own_server_ = nullptr;
};

}  // namespace pxfs::fs
