#include "meta/repetitions.h"

#include <limits>
#include <utility>

#include "base/hash.h"
#include "meta/keys.h"

namespace pxfs::meta {

RequestKey::RequestKey(const CallContext& ctx, Operation operation, InodeId inode,
                       std::string_view name)
    : session(ctx.session), number(ctx.request) {
  if (!numbered()) return;
  constexpr uint64_t kSpread = 0x9E3779B97F4A7C15ull;
  fingerprint = Hash64(name, inode.value * kSpread + static_cast<uint64_t>(operation));
}

Status Repetitions::Load(SessionId session) {
  const std::string begin = keys::Make(keys::Family::kRequest, session.value);
  Status status;
  std::lock_guard lock(mutex_);
  PXFS_TRY(store_.engine().Scan(begin, keys::EndOf(begin),
                                [&](std::string_view key, std::string_view value) {
                                  auto record = Decode<RequestRecord>(key, value);
                                  if (!record) {
                                    status = Fail(record.error());
                                    return false;
                                  }
                                  outcomes_[{session, record->request}] = *record;
                                  return true;
                                }));
  loaded_at_ = std::chrono::steady_clock::now();
  loaded_ = outcomes_.size();
  return status;
}

Status Repetitions::Erase(SessionId session) {
  {
    std::lock_guard lock(mutex_);
    std::erase_if(outcomes_, [&](const auto& outcome) { return outcome.first.first == session; });
    loaded_ = outcomes_.size();
  }
  return store_.Run([&](Transaction& tx) -> Status {
    const std::string begin = keys::Make(keys::Family::kRequest, session.value);
    PXFS_ASSIGN(const std::vector<KvWrite> records,
                tx.Scan(begin, keys::EndOf(begin), std::numeric_limits<size_t>::max()));
    for (const KvWrite& record : records) tx.Erase(record.key);
    return {};
  });
}

std::optional<RequestRecord> Repetitions::Find(const RequestKey& key) {
  if (loaded_.load(std::memory_order_acquire) == 0 || !key.numbered()) return std::nullopt;
  std::lock_guard lock(mutex_);
  if (std::chrono::steady_clock::now() - loaded_at_ > kMemory) {
    outcomes_.clear();
    loaded_ = 0;
    return std::nullopt;
  }
  const auto it = outcomes_.find({key.session, key.number});
  if (it == outcomes_.end() || it->second.fingerprint != key.fingerprint) return std::nullopt;
  const RequestRecord outcome = it->second;
  outcomes_.erase(it);
  loaded_ = outcomes_.size();
  return outcome;
}

void Repetitions::Record(Transaction& tx, const RequestKey& key, InodeId inode, bool orphaned) {
  if (!key.numbered()) return;
  // The kernel numbers its requests in steps of two.
  const uint64_t slot = key.number / 2 % kSlots;
  tx.Put(keys::Make(keys::Family::kRequest, key.session.value, slot),
         Encode(RequestRecord{key.number, inode, orphaned, key.fingerprint}));
}

}  // namespace pxfs::meta
