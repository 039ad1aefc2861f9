#include "meta/known_objects.h"

#include <algorithm>

#include "meta/keys.h"

namespace pxfs::meta {

Result<KnownObjects> KnownObjects::Load(const KvEngine& engine, GetInode get_inode) {
  KnownObjects known(std::move(get_inode));
  const std::string reservations = keys::Make(keys::Family::kReservation);
  PXFS_TRY(engine.Scan(reservations, keys::EndOf(reservations),
                       [&](std::string_view key, std::string_view) {
                         uint64_t inode = 0;
                         if (keys::ReadNumber(key, 1, &inode))
                           known.reserved_.insert(InodeId(inode));
                         return true;
                       }));
  const std::string queue = keys::Make(keys::Family::kReclaim);
  Status status;
  PXFS_TRY(
      engine.Scan(queue, keys::EndOf(queue), [&](std::string_view key, std::string_view value) {
        const auto record = Decode<ReclaimRecord>(key, value);
        if (!record) {
          status = Fail(record.error());
          return false;
        }
        for (const Replica& replica : record->replicas)
          known.reclaimed_.emplace(record->inode, replica.object_generation);
        return true;
      }));
  PXFS_TRY(status);
  return known;
}

Result<bool> KnownObjects::Has(const ObjectRef& object) const {
  // Also what is about to be published, or deleted, is known.
  if (reserved_.contains(object.inode) ||
      reclaimed_.contains({object.inode, object.object_generation}))
    return true;
  const auto inode = get_inode_(object.inode);
  if (!inode && !(inode.error() == Code::kNotFound)) return Fail(inode.error());
  return inode && std::any_of((*inode)->replicas.begin(), (*inode)->replicas.end(),
                              [&](const Replica& replica) {
                                return replica.volume == object.volume &&
                                       replica.object_generation == object.object_generation;
                              });
}

}  // namespace pxfs::meta
