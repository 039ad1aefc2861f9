#include "meta/sessions.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/logging.h"
#include "base/mount_registry.h"
#include "meta/keys.h"

namespace pxfs::meta {

SessionTable::SessionTable(Store& store, std::chrono::milliseconds revoke_timeout)
    : store_(store), revoke_timeout_(revoke_timeout) {}

const std::string& SessionTable::Key() {
  static const std::string key = keys::Counter("sessions opened");
  return key;
}

Status SessionTable::Load() {
  const std::string begin = keys::Make(keys::Family::kSession);
  const auto now = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  Status status;
  PXFS_TRY(store_.engine().Scan(
      begin, keys::EndOf(begin), [&](std::string_view key, std::string_view value) {
        uint64_t id = 0;
        auto record = Decode<SessionRecord>(key, value);
        if (!record || !keys::ReadNumber(key, 0, &id)) {
          status = record ? Status(DamagedRecord(key, "no number")) : Fail(record.error());
          return false;
        }
        sessions_[SessionId(id)] = {.description = record->description,
                                    .caches = record->caches,
                                    .attached = false,
                                    .detached_since = now,
                                    .holder = record->holder,
                                    .holder_started = record->holder_started,
                                    .awaited = false,
                                    .queue = nullptr};
        return true;
      }));
  return status;
}

Result<SessionId> SessionTable::Open(const SessionSpec& spec) {
  SessionId id = spec.resume;
  if (!id) {
    PXFS_ASSIGN(const uint64_t number, store_.NewSession());
    id = SessionId(number);
  }
  std::shared_ptr<ListenerQueue> queue, replaced;
  if (spec.listener) queue = std::make_shared<ListenerQueue>(id, *spec.listener);
  SessionRecord record{spec.description, spec.listener != nullptr, spec.holder,
                       spec.holder != 0 ? StartOfProcess(spec.holder) : 0};
  {
    std::unique_lock lock(mutex_);
    const auto it = sessions_.find(id);
    if (spec.resume && it == sessions_.end())
      return Fail(Code::kNotFound, "no session " + std::to_string(id.value) + " to resume");
    Session& session = sessions_[id];
    if (record.description.empty()) record.description = session.description;
    replaced = std::exchange(session.queue, queue);
    session.description = record.description;
    session.caches = record.caches;
    session.attached = true;
    session.awaited = false;
    session.holder = record.holder;
    session.holder_started = record.holder_started;
    CountListeners();
  }
  // The listener before may still be in a call: it is left in peace only once that has returned.
  if (replaced) replaced->Stop();
  const Status stored = store_.Run([&](Transaction& tx) -> Status {
    tx.Put(keys::Session(id), Encode(record));
    tx.Put(Key(), EncodeNumber(id.value));
    return {};
  });
  if (!stored) {
    if (!spec.resume) Remove(id);
    return Fail(stored.error());
  }
  return id;
}

void SessionTable::AwaitResumptions(std::chrono::milliseconds grace) {
  std::unique_lock lock(mutex_);
  await_until_ = std::chrono::steady_clock::now() + grace;
  for (auto& [id, session] : sessions_)
    session.awaited = session.caches && !session.attached &&
                      (session.holder == 0 || IsAlive(session.holder, session.holder_started));
  CountListeners();
}

void SessionTable::WaitForAwaited(SessionId except) {
  const auto missing = [&] {
    return std::find_if(sessions_.begin(), sessions_.end(), [&](const auto& entry) {
      return entry.second.awaited && entry.first != except;
    });
  };
  {
    std::shared_lock lock(mutex_);
    if (awaited_changed_.wait_until(lock, await_until_,
                                    [&] { return missing() == sessions_.end(); }))
      return;
  }
  std::unique_lock lock(mutex_);
  for (auto late = missing(); late != sessions_.end(); late = missing()) {
    log::warn("session {} ({}) was not resumed; not waiting for it any more", late->first.value,
              late->second.description);
    late->second.awaited = false;
  }
  CountListeners();
}

void SessionTable::Remove(SessionId session) {
  std::shared_ptr<ListenerQueue> queue;
  std::unique_lock lock(mutex_);
  const auto it = sessions_.find(session);
  if (it == sessions_.end()) return;
  queue = std::move(it->second.queue);
  sessions_.erase(it);
  CountListeners();
  lock.unlock();
  if (queue) queue->Stop();  // not under the lock: it waits for the listener
}

void SessionTable::CountListeners() {
  size_t count = 0, awaited = 0;
  uint64_t only = 0;
  for (const auto& [id, session] : sessions_) {
    if (session.awaited) ++awaited;
    if (!session.queue) continue;
    ++count;
    only = id.value;
  }
  only_listener_.store(count == 1 ? only : 0);
  listeners_.store(count);
  awaited_.store(awaited);
  awaited_changed_.notify_all();
}

Status SessionTable::Require(SessionId session) const {
  std::shared_lock lock(mutex_);
  if (!sessions_.contains(session))
    return Fail(Code::kInvalid, "no open session " + std::to_string(session.value));
  return {};
}

bool SessionTable::Caches(SessionId session) const {
  std::shared_lock lock(mutex_);
  const auto it = sessions_.find(session);
  return it != sessions_.end() && it->second.caches;
}

std::vector<SessionId> SessionTable::Caching() const {
  std::vector<SessionId> caching;
  std::shared_lock lock(mutex_);
  for (const auto& [id, session] : sessions_)
    if (session.caches) caching.push_back(id);
  return caching;
}

std::vector<SessionId> SessionTable::Abandoned(std::chrono::milliseconds grace) const {
  std::vector<SessionId> abandoned;
  const auto now = std::chrono::steady_clock::now();
  std::shared_lock lock(mutex_);
  for (const auto& [id, session] : sessions_)
    if (!session.attached && now - session.detached_since >= grace) abandoned.push_back(id);
  return abandoned;
}

std::vector<SessionInfo> SessionTable::List() const {
  std::vector<SessionInfo> list;
  std::shared_lock lock(mutex_);
  for (const auto& [id, session] : sessions_)
    list.push_back({id, session.description, session.caches, session.attached, 0});
  return list;
}

bool SessionTable::OthersListen(SessionId except) const {
  if (awaited_.load(std::memory_order_acquire) > 0) return true;
  const size_t listeners = listeners_.load(std::memory_order_acquire);
  if (listeners == 0) return false;
  return listeners > 1 || only_listener_.load(std::memory_order_acquire) != except.value;
}

void SessionTable::Deliver(SessionId except, std::vector<Invalidation> items) {
  if (awaited_.load(std::memory_order_acquire) > 0) WaitForAwaited(except);
  std::vector<std::shared_ptr<ListenerQueue>> queues;
  {
    std::shared_lock lock(mutex_);
    for (const auto& [id, session] : sessions_)
      if (id != except && session.queue) queues.push_back(session.queue);
  }
  if (queues.empty()) return;
  const auto delivery = std::make_shared<Delivery>(std::move(items));
  for (const auto& queue : queues) queue->Post(delivery);
  if (!delivery->Wait(revoke_timeout_))
    for (const auto& queue : queues) queue->MarkLate();
}

}  // namespace pxfs::meta
