// ContentEpochs: whose content may not have reached its disk when the power goes.
//
// Metadata can be durable while the content that it speaks of is not. So every change of content is
// stamped with the number of the epoch in which it was committed. Now and then whoever has the
// volumes at hand ends an epoch and syncs the volumes; then what was stamped until then is durable.
// After a loss of power only files of later epochs can differ from their objects.
//
// Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "meta/kv_engine.h"

namespace pxfs::meta {

class ContentEpochs {
 public:
  // Begins a new epoch. closed_in_order: the process before had time to close the store.
  Status Load(KvEngine& engine, bool closed_in_order);

  // For a change of content that is committed now.
  uint64_t Stamp();
  // The content of files stamped later may not be what metadata says: the machine was started since
  // the store was opened last, and not every epoch had ended.
  bool power_was_lost() const { return power_was_lost_; }
  uint64_t durable() const { return durable_; }

  // Ends the epoch: everything stamped so far is from it or earlier. Returns its number, or 0 if
  // all that was stamped is durable already.
  Result<uint64_t> End(KvEngine& engine);
  // All content stamped in this epoch or earlier is on disk.
  Status SetDurable(KvEngine& engine, uint64_t epoch);
  // The store is closed in order: what was stamped since the last epoch ended stays to be made
  // durable.
  Status Close(KvEngine& engine);
  // What the loss of power did has been dealt with.
  Status Settled(KvEngine& engine);

 private:
  std::atomic<uint64_t> current_{1};
  std::atomic<uint64_t> last_stamped_{0};
  std::atomic<uint64_t> durable_{0};
  std::atomic<bool> power_was_lost_{false};
  std::string boot_;  // of the running machine
};

}  // namespace pxfs::meta
