// Recognising a mutation that is sent a second time because whoever sent it did not hear the
// answer: a mount whose daemon was killed, a client whose connection broke.
//
// 1. A mutation of a session that has a number (CallContext::request) leaves its outcome in its own
// transaction, in one
//    of kSlots places of its session. So at most that many outcomes are kept, the latest ones.
// 2. Only after a restart of the service, or of a session's process, can anything be repeated:
//    opening the store, and resuming a session, load the outcomes, and each answers once. A session
//    that runs on costs nothing here but the record.
// 3. What was in flight is sent again at once, so that outcomes are forgotten some time after the
// last resumption:
//    numbers may begin anew, and a request that looks like an old one must not be taken for it.
//
// Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>

#include "meta/service.h"
#include "meta/store.h"

namespace pxfs::meta {

enum class Operation : uint8_t {
  kMakeNode = 1,
  kCreate,
  kLink,
  kUnlink,
  kRemoveDirectory,
  kRename,
  kSetXattr,
  kRemoveXattr,
  kCloseWrite,
  kSetAttr,
};

// What makes a request the same: its session and number, and what it does to what.
struct RequestKey {
  RequestKey(const CallContext& ctx, Operation operation, InodeId inode,
             std::string_view name = {});

  bool numbered() const { return number != 0 && session; }

  SessionId session;
  uint64_t number = 0;
  uint64_t fingerprint = 0;
};

class Repetitions {
 public:
  explicit Repetitions(Store& store) : store_(store) {}

  Status Load(SessionId session);
  Status Erase(SessionId session);  // at its end

  // What the request did when it ran before; nothing if it did not.
  std::optional<RequestRecord> Find(const RequestKey& key);
  // Part of the request's transaction.
  static void Record(Transaction& tx, const RequestKey& key, InodeId inode = {},
                     bool orphaned = false);

 private:
  static constexpr uint64_t kSlots = 4096;
  static constexpr std::chrono::seconds kMemory{60};

  Store& store_;
  std::atomic<size_t> loaded_{0};
  std::mutex mutex_;  // guards the rest
  std::chrono::steady_clock::time_point loaded_at_;
  std::map<std::pair<SessionId, uint64_t>, RequestRecord> outcomes_;  // by session and number
};

}  // namespace pxfs::meta
