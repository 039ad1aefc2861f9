#include "meta/remote/reply_cache.h"

namespace pxfs::meta::remote {

using std::chrono::steady_clock;

Result<std::string> ReplyCache::Run(const rpc::Peer& peer,
                                    const std::function<Result<std::string>()>& run) {
  std::unique_lock lock(mutex_);
  // A client with a connection is never forgotten, and this call's connection lives as long as the
  // call.
  Client& client = clients_[peer.client];
  client.connections.insert(peer.connection);
  const auto [entry, first] = client.replies.try_emplace(peer.request);
  if (!first) {
    finished_.wait(lock, [&] {
      const auto found = client.replies.find(peer.request);
      return found == client.replies.end() || found->second;
    });
    const auto found = client.replies.find(peer.request);
    if (found != client.replies.end()) return *found->second;
    return Fail(Code::kIo, "the first attempt of this call failed");
  }
  lock.unlock();
  try {
    auto reply = run();
    lock.lock();
    Finish(client, peer.request, reply);
    return reply;
  } catch (...) {
    if (!lock.owns_lock()) lock.lock();
    client.replies.erase(peer.request);
    finished_.notify_all();
    throw;
  }
}

void ReplyCache::Finish(Client& client, uint64_t number, Result<std::string> reply) {
  client.bytes += reply ? reply->size() : 0;
  client.replies[number] = std::move(reply);
  client.finished.push_back(number);
  while (client.finished.size() > kMaxReplies ||
         (client.bytes > kMaxBytes && client.finished.size() > 1)) {
    const auto oldest = client.replies.find(client.finished.front());
    client.bytes -= *oldest->second ? (*oldest->second)->size() : 0;
    client.replies.erase(oldest);
    client.finished.pop_front();
  }
  finished_.notify_all();
}

void ReplyCache::Disconnected(const rpc::Peer& peer) {
  const auto now = steady_clock::now();
  std::lock_guard lock(mutex_);
  if (const auto found = clients_.find(peer.client); found != clients_.end()) {
    found->second.connections.erase(peer.connection);
    if (found->second.connections.empty()) found->second.gone_since = now;
  }
  std::erase_if(clients_, [&](const auto& item) {
    return item.second.connections.empty() && now - item.second.gone_since > kMemory;
  });
}

}  // namespace pxfs::meta::remote
