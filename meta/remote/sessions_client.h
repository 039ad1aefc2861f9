// The sessions that this client has open, and the thread that hears for them.
//
// The thread polls the server (METHOD_WATCH) from the first session on: that is how the server
// knows that the client lives, and how invalidations come. Their batches go to the listeners in
// order; the next poll acknowledges them. When the connection breaks, the thread makes it again,
// for as long as it takes, and resumes every session. Where the server's end of the channel is a
// new one then, what happened in between is not known, and listeners are told to drop everything.
//
// Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "base/result.h"
#include "meta/remote/caller.h"
#include "meta/service.h"

namespace pxfs::meta::remote {

class SessionsClient {
 public:
  // `caller` is used for nothing else.
  explicit SessionsClient(std::unique_ptr<Caller> caller) : caller_(std::move(caller)) {}
  // Leaves the sessions open: the server closes them after a while, unless somebody resumes them.
  ~SessionsClient();

  Result<SessionId> Open(const SessionSpec& spec);
  // No listener of the session is called any more once this has returned.
  Status Close(SessionId session);

 private:
  struct Listener {
    explicit Listener(CacheListener* l) : listener(l) {}
    // Delivers unless it has been dropped.
    void Deliver(std::span<const Invalidation> items);
    void Drop();

    std::mutex mutex;  // guards listener, and is held while it is called
    CacheListener* listener;
  };
  struct Session {
    std::string description;
    uint64_t number = 0;  // of its listener; 0: none
    pid_t holder = 0;
  };

  void StartWatching();
  void WatchLoop();
  // One poll; false: it failed.
  bool Poll();
  void Deliver(const pb::WatchReply& reply);
  void DropEverything();
  // False: not yet.
  bool Reconnect();
  Result<SessionId> SendOpen(const Session& session, SessionId resume, bool* answered);

  const std::unique_ptr<Caller> caller_;
  uint64_t channel_ = 0, acknowledged_ = 0;  // only the thread uses them

  std::mutex mutex_;  // guards what follows
  std::map<SessionId, Session> sessions_;
  std::map<uint64_t, std::shared_ptr<Listener>> listeners_;
  uint64_t next_number_ = 1;
  std::thread thread_;
};

}  // namespace pxfs::meta::remote
