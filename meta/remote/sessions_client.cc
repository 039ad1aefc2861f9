#include "meta/remote/sessions_client.h"

#include <vector>

#include "base/logging.h"
#include "meta/remote/codec_lists.h"
#include "meta/remote/message.h"

namespace pxfs::meta::remote {

SessionsClient::~SessionsClient() {
  caller_->Close();
  if (thread_.joinable()) thread_.join();
}

void SessionsClient::Listener::Deliver(std::span<const Invalidation> items) {
  std::lock_guard lock(mutex);
  if (listener) listener->Invalidate(items);
}

void SessionsClient::Listener::Drop() {
  std::lock_guard lock(mutex);
  listener = nullptr;
}

Result<SessionId> SessionsClient::Open(const SessionSpec& spec) {
  Session session{spec.description, 0, spec.holder};
  if (spec.listener) {
    // Known before the server can name it.
    std::lock_guard lock(mutex_);
    session.number = next_number_++;
    listeners_[session.number] = std::make_shared<Listener>(spec.listener);
  }
  auto id = SendOpen(session, spec.resume, nullptr);
  {
    std::lock_guard lock(mutex_);
    if (id) {
      sessions_[*id] = session;
    } else {
      listeners_.erase(session.number);
    }
  }
  if (id) StartWatching();
  return id;
}

// answered: null to repeat the call while the connection fails.
Result<SessionId> SessionsClient::SendOpen(const Session& session, SessionId resume,
                                           bool* answered) {
  OnArena<pb::OpenSessionRequest> request;
  request->set_description(session.description);
  request->set_resume(resume.value);
  request->set_listener(session.number);
  request->set_holder(session.holder);
  PXFS_ASSIGN(const std::string bytes, request.Serialize());
  PXFS_ASSIGN(const std::string reply_bytes,
              answered ? caller_->CallOnce(pb::METHOD_OPEN_SESSION, bytes, answered)
                       : caller_->Call(pb::METHOD_OPEN_SESSION, bytes));
  OnArena<pb::OpenSessionReply> reply;
  PXFS_TRY(reply.Parse(reply_bytes));
  return SessionId(reply->session());
}

Status SessionsClient::Close(SessionId session) {
  OnArena<pb::CloseSessionRequest> request;
  request->set_session(session.value);
  PXFS_ASSIGN(const std::string bytes, request.Serialize());
  const auto reply = caller_->Call(pb::METHOD_CLOSE_SESSION, bytes);
  if (!reply) return Fail(reply.error());
  std::shared_ptr<Listener> listener;
  {
    std::lock_guard lock(mutex_);
    const auto found = sessions_.find(session);
    if (found == sessions_.end()) return {};
    if (const auto l = listeners_.find(found->second.number); l != listeners_.end()) {
      listener = l->second;
      listeners_.erase(l);
    }
    sessions_.erase(found);
  }
  if (listener) listener->Drop();
  return {};
}

void SessionsClient::StartWatching() {
  std::lock_guard lock(mutex_);
  if (!thread_.joinable()) thread_ = std::thread([this] { WatchLoop(); });
}

void SessionsClient::WatchLoop() {
  constexpr auto kForever = std::chrono::steady_clock::time_point::max();
  int failures = 0;
  while (!caller_->closed()) {
    if (Poll()) {
      failures = 0;
      continue;
    }
    // Until then nobody says what is no longer true, and a successor of the server may change
    // something before it knows of these sessions.
    if (!caller_->closed()) DropEverything();
    while (caller_->Pause(failures++, kForever) && !Reconnect()) {
    }
  }
}

bool SessionsClient::Poll() {
  OnArena<pb::WatchRequest> request;
  request->set_channel(channel_);
  request->set_acknowledged(acknowledged_);
  const auto bytes = request.Serialize();
  bool answered = false;
  const auto reply_bytes =
      bytes ? caller_->CallOnce(pb::METHOD_WATCH, *bytes, &answered) : Fail(bytes.error());
  OnArena<pb::WatchReply> reply;
  const Status received = reply_bytes ? reply.Parse(*reply_bytes) : Fail(reply_bytes.error());
  if (!received) {
    if (!caller_->closed())
      log::warn("no invalidations from the metadata service: {}", received.error().message());
    return false;
  }
  if (channel_ != 0 && reply->channel() != channel_) DropEverything();
  Deliver(*reply);
  channel_ = reply->channel();
  acknowledged_ = reply->sequence();
  return true;
}

void SessionsClient::Deliver(const pb::WatchReply& reply) {
  for (const auto& batch : reply.batches()) {
    std::shared_ptr<Listener> listener;
    {
      std::lock_guard lock(mutex_);
      const auto found = listeners_.find(batch.listener());
      if (found != listeners_.end()) listener = found->second;
    }
    if (!listener) continue;  // of a session that has been closed since
    std::vector<Invalidation> items;
    Validity validity;
    DecodeList(batch.items(), items, validity);
    // What cannot be understood may mean anything.
    if (!validity) items = {{Invalidation::Kind::kAll, {}, {}}};
    listener->Deliver(items);
  }
}

void SessionsClient::DropEverything() {
  std::vector<std::shared_ptr<Listener>> listeners;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [number, listener] : listeners_) listeners.push_back(listener);
  }
  const Invalidation all{Invalidation::Kind::kAll, {}, {}};
  for (const auto& listener : listeners) listener->Deliver({&all, 1});
}

bool SessionsClient::Reconnect() {
  bool answered = false;
  if (!caller_->CallOnce(pb::METHOD_DESCRIBE, {}, &answered)) return false;
  std::map<SessionId, Session> sessions;
  {
    std::lock_guard lock(mutex_);
    sessions = sessions_;
  }
  for (const auto& [id, session] : sessions) {
    const auto resumed = SendOpen(session, id, &answered);
    if (!resumed && !answered) return false;
    if (!resumed)
      log::error("session {} ({}) cannot be resumed: {}", id.value, session.description,
                 resumed.error().message());
  }
  log::info("connected to the metadata service again");
  return true;
}

}  // namespace pxfs::meta::remote
