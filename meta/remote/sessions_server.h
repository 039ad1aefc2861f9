// The sessions that remote clients have open at this server.
//
// A session belongs to the client that opened or last resumed it. A client is there as long as it
// has a connection on which it opens sessions or polls; a session whose client is gone for longer
// than the grace time is closed. When the server ends, sessions stay open in the service, so that
// clients resume them at its successor.
//
// Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "base/result.h"
#include "meta/remote/invalidation_channel.h"
#include "meta/service.h"
#include "rpc/server.h"

namespace pxfs::meta::remote {

class SessionsServer {
 public:
  SessionsServer(MetadataService& service, std::chrono::milliseconds grace);
  ~SessionsServer();

  Result<std::string> Open(const rpc::Peer& peer, std::string_view request);
  Result<std::string> Close(const rpc::Peer& peer, std::string_view request);
  Result<std::string> Watch(const rpc::Peer& peer, std::string_view request);
  void Disconnected(const rpc::Peer& peer);
  // Polls return at once from now on.
  void Stop();

 private:
  // Passes a session's invalidations to its client's channel.
  class Forwarder : public CacheListener {
   public:
    Forwarder(std::shared_ptr<InvalidationChannel> channel, uint64_t listener)
        : channel_(std::move(channel)), source_{listener} {}
    void Invalidate(std::span<const Invalidation> items) override {
      channel_->Deliver(source_, items);
    }
    // Invalidate waits for nobody any more.
    void Release() { channel_->Release(source_); }

   private:
    const std::shared_ptr<InvalidationChannel> channel_;
    InvalidationChannel::Source source_;
  };
  struct Session {
    uint64_t client = 0;
    std::shared_ptr<Forwarder> forwarder;  // null: it caches nothing
  };
  struct Client {
    std::shared_ptr<InvalidationChannel> channel;
    std::set<uint64_t> connections;
    std::chrono::steady_clock::time_point gone_since;
  };

  Result<std::shared_ptr<InvalidationChannel>> Attach(const rpc::Peer& peer);
  void ReapLoop();
  // Takes out the clients that are gone for too long; returns their sessions, or else in *next when
  // to look again.
  std::vector<SessionId> TakeExpired(std::chrono::steady_clock::time_point* next);
  void CloseExpired(SessionId session);

  MetadataService& service_;
  const std::chrono::milliseconds grace_;

  // Held while a session changes hands, so that none is closed while it is being resumed. Taken
  // before mutex_.
  std::mutex handover_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::map<SessionId, Session> sessions_;
  std::map<uint64_t, Client> clients_;
  bool stopping_ = false;
  std::thread reaper_;
};

}  // namespace pxfs::meta::remote
