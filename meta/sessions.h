// The open sessions, and the delivery of invalidations to those that cache.
//
// 1. Every caching session may hold any inode that has a name. Whoever takes a last name away notes
// Key() in its
//    transaction before it asks for Caching(): opening a session writes that key, so a session that
//    came in between makes the transaction run again.
// 2. Each listener has a queue and a thread, so that one that hangs delays a mutation by at most
// the revoke timeout,
//    once: it is late from then on, and nobody waits for it until it has caught up.
//
// 3. A caching session of the process before this one is detached until its client has found this
// process and resumed it; the client drops what it caches before that. A mutation that returned in
// between could be missed by it, so it waits (AwaitResumptions), but not for a client that cannot
// come any more, and not for longer than the grace.
//
// Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <shared_mutex>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "meta/listener_queue.h"
#include "meta/service.h"
#include "meta/store.h"

namespace pxfs::meta {

class SessionTable {
 public:
  SessionTable(Store& store, std::chrono::milliseconds revoke_timeout);

  // Takes over the sessions that the store still has, as detached: nobody has resumed them.
  Status Load();

  Result<SessionId> Open(const SessionSpec& spec);
  // From now on deliveries wait for the caching sessions that are detached now, up to `grace` from
  // now. Those whose holder has ended are not waited for.
  void AwaitResumptions(std::chrono::milliseconds grace);
  // Stops its listener; its record is the caller's to erase.
  void Remove(SessionId session);

  Status Require(SessionId session) const;  // kInvalid when it is not open
  bool Caches(SessionId session) const;
  // Sessions with a listener, detached ones included.
  std::vector<SessionId> Caching() const;
  // Detached for at least `grace`.
  std::vector<SessionId> Abandoned(std::chrono::milliseconds grace) const;
  std::vector<SessionInfo> List() const;
  static const std::string& Key();

  // Whether Deliver would reach anybody: false costs one load.
  bool OthersListen(SessionId except) const;
  void Deliver(SessionId except, std::vector<Invalidation> items);

 private:
  struct Session {
    std::string description;
    bool caches = false;
    bool attached = false;
    std::chrono::steady_clock::time_point detached_since;
    pid_t holder = 0;
    uint64_t holder_started = 0;
    bool awaited = false;
    std::shared_ptr<ListenerQueue> queue;  // null without a listener
  };

  // With mutex_ held, after any change of sessions_.
  void CountListeners();
  void WaitForAwaited(SessionId except);

  Store& store_;
  const std::chrono::milliseconds revoke_timeout_;
  mutable std::shared_mutex mutex_;  // guards sessions_
  std::map<SessionId, Session> sessions_;
  std::atomic<size_t> listeners_{0};
  std::atomic<size_t> awaited_{0};  // sessions
  std::condition_variable_any awaited_changed_;
  std::chrono::steady_clock::time_point await_until_;  // guarded by mutex_
  std::atomic<uint64_t> only_listener_{0};             // its session, if listeners_ is 1
};

// Collects what a mutation made untrue, and delivers it. Made after the commit, so that it sees
// every session that may have looked before. Costs nothing when nobody else listens.
class Notices {
 public:
  Notices(SessionTable& sessions, SessionId self)
      : sessions_(sessions), self_(self), active_(sessions.OthersListen(self)) {}

  void Attr(InodeId inode) { Add(Invalidation::Kind::kAttr, inode); }
  void Content(InodeId inode) { Add(Invalidation::Kind::kContent, inode); }
  void Listing(InodeId directory) { Add(Invalidation::Kind::kListing, directory); }
  void Entry(InodeId directory, std::string_view name) {
    if (active_) items_.push_back({Invalidation::Kind::kEntry, directory, std::string(name)});
  }
  // A name of it is gone.
  void Unlinked(const Removed& removed) {
    Add(removed.orphaned ? Invalidation::Kind::kOrphaned : Invalidation::Kind::kAttr,
        removed.inode);
  }
  void Send() {
    if (active_ && !items_.empty()) sessions_.Deliver(self_, std::move(items_));
  }

 private:
  void Add(Invalidation::Kind kind, InodeId inode) {
    if (active_) items_.push_back({kind, inode, {}});
  }

  SessionTable& sessions_;
  const SessionId self_;
  const bool active_;
  std::vector<Invalidation> items_;
};

}  // namespace pxfs::meta
