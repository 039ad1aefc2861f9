#include "meta/remote/sessions_server.h"

#include <utility>
#include <vector>

#include "base/logging.h"
#include "meta/remote/message.h"

namespace pxfs::meta::remote {

using std::chrono::steady_clock;

namespace {

constexpr std::chrono::seconds kPollTime{30};

// Takes the place of listeners that end with this server, while the service and the sessions go on.
class Nobody : public CacheListener {
 public:
  void Invalidate(std::span<const Invalidation>) override {}
};

Nobody& TheNobody() {
  static Nobody nobody;
  return nobody;
}

}  // namespace

SessionsServer::SessionsServer(MetadataService& service, std::chrono::milliseconds grace)
    : service_(service), grace_(grace), reaper_([this] { ReapLoop(); }) {}

SessionsServer::~SessionsServer() {
  Stop();
  reaper_.join();
  for (const auto& [id, session] : sessions_) {
    if (!session.forwarder) continue;
    const auto left = service_.OpenSession({"", id, &TheNobody()});
    if (!left) log::warn("leaving session {}: {}", id.value, left.error().message());
  }
}

Result<std::shared_ptr<InvalidationChannel>> SessionsServer::Attach(const rpc::Peer& peer) {
  std::lock_guard lock(mutex_);
  Client& client = clients_[peer.client];
  if (!client.channel) {
    auto channel = InvalidationChannel::Make();
    if (!channel) {
      clients_.erase(peer.client);
      return channel;
    }
    client.channel = std::move(*channel);
    if (stopping_) client.channel->Stop();
  }
  client.connections.insert(peer.connection);
  client.channel->SetConnected(true);
  return client.channel;
}

Result<std::string> SessionsServer::Open(const rpc::Peer& peer, std::string_view bytes) {
  OnArena<pb::OpenSessionRequest> request;
  PXFS_TRY(request.Parse(bytes));
  PXFS_ASSIGN(const auto channel, Attach(peer));
  SessionSpec spec;
  spec.description = request->description();
  spec.resume = SessionId(request->resume());
  spec.holder = request->holder();
  Session session;
  session.client = peer.client;
  if (request->listener() != 0) {
    session.forwarder = std::make_shared<Forwarder>(channel, request->listener());
    spec.listener = session.forwarder.get();
  }

  std::lock_guard handover(handover_);
  Session before;
  {
    std::lock_guard lock(mutex_);
    const auto found = sessions_.find(spec.resume);
    if (found != sessions_.end()) before = found->second;
  }
  // The service waits for the listener that was there before, and that one for a client, which may
  // be this one.
  if (before.forwarder) before.forwarder->Release();
  PXFS_ASSIGN(const SessionId id, service_.OpenSession(spec));
  {
    std::lock_guard lock(mutex_);
    sessions_[id] = std::move(session);
  }
  OnArena<pb::OpenSessionReply> reply;
  reply->set_session(id.value);
  return reply.Serialize();
}

Result<std::string> SessionsServer::Close(const rpc::Peer&, std::string_view bytes) {
  OnArena<pb::CloseSessionRequest> request;
  PXFS_TRY(request.Parse(bytes));
  const SessionId id(request->session());
  std::lock_guard handover(handover_);
  std::shared_ptr<Forwarder> forwarder;
  {
    std::lock_guard lock(mutex_);
    const auto found = sessions_.find(id);
    if (found != sessions_.end()) forwarder = found->second.forwarder;
  }
  if (forwarder) forwarder->Release();  // what the session caches does not matter any more
  PXFS_TRY(service_.CloseSession(id));
  std::lock_guard lock(mutex_);
  sessions_.erase(id);
  return std::string();
}

Result<std::string> SessionsServer::Watch(const rpc::Peer& peer, std::string_view bytes) {
  OnArena<pb::WatchRequest> request;
  PXFS_TRY(request.Parse(bytes));
  PXFS_ASSIGN(const auto channel, Attach(peer));
  OnArena<pb::WatchReply> reply;
  channel->Poll(*request, peer.socket, kPollTime, *reply);
  return reply.Serialize();
}

void SessionsServer::Disconnected(const rpc::Peer& peer) {
  std::lock_guard lock(mutex_);
  const auto found = clients_.find(peer.client);
  if (found == clients_.end() || found->second.connections.erase(peer.connection) == 0) return;
  if (!found->second.connections.empty()) return;
  found->second.gone_since = steady_clock::now();
  found->second.channel->SetConnected(false);
  changed_.notify_all();
}

void SessionsServer::Stop() {
  std::lock_guard lock(mutex_);
  stopping_ = true;
  for (const auto& [number, client] : clients_) client.channel->Stop();
  changed_.notify_all();
}

void SessionsServer::ReapLoop() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    auto next = steady_clock::time_point::max();
    const auto expired = TakeExpired(&next);
    if (!expired.empty()) {
      lock.unlock();
      for (const SessionId session : expired) CloseExpired(session);
      lock.lock();
    } else if (next == steady_clock::time_point::max()) {
      changed_.wait(lock);
    } else {
      changed_.wait_until(lock, next);
    }
  }
}

// With mutex_ held.
std::vector<SessionId> SessionsServer::TakeExpired(steady_clock::time_point* next) {
  const auto now = steady_clock::now();
  std::vector<SessionId> expired;
  for (auto it = clients_.begin(); it != clients_.end();) {
    Client& client = it->second;
    const auto due = client.gone_since + grace_;
    if (!client.connections.empty() || due > now) {
      if (client.connections.empty()) *next = std::min(*next, due);
      ++it;
      continue;
    }
    for (const auto& [id, session] : sessions_)
      if (session.client == it->first) expired.push_back(id);
    it = clients_.erase(it);
  }
  return expired;
}

void SessionsServer::CloseExpired(SessionId id) {
  std::lock_guard handover(handover_);
  Session session;
  {
    std::lock_guard lock(mutex_);
    const auto found = sessions_.find(id);
    // Closed or resumed meanwhile.
    if (found == sessions_.end() || clients_.contains(found->second.client)) return;
    session = std::move(found->second);
    sessions_.erase(found);
  }
  log::warn("session {}: its client is gone; closing it", id.value);
  const Status closed = service_.CloseSession(id);
  if (!closed) log::warn("session {}: {}", id.value, closed.error().message());
}

}  // namespace pxfs::meta::remote
