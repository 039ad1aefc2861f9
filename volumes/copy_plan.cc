#include "volumes/copy_plan.h"

#include <cmath>

#include "base/hash.h"
#include "meta/placement.h"

namespace pxfs::volumes {
namespace {

using meta::Replica;
using meta::ReplicaState;
using meta::VolumeInfo;
using meta::VolumeState;

// The replicas of a file by what they are good for.
struct Standing {
  uint32_t good = 0;      // they count as copies
  uint32_t reached = 0;   // those of them on volumes within reach
  uint32_t for_heat = 0;  // copies within reach that are there for heat; not among the others
  const Replica* stale = nullptr;
  const Replica* leaving = nullptr;
  const Replica* surplus = nullptr;  // could go if there are too many
  std::set<VolumeId> holding;        // volumes with a current replica
  bool source = false;               // one that can be read
};

Standing Assess(const CopySituation& at, std::set<VolumeId>* away) {
  Standing standing;
  for (const Replica& replica : at.file.replicas) {
    const VolumeInfo* volume = meta::FindVolume(at.volumes, replica.volume);
    if (!volume) continue;
    const bool current = replica.state == ReplicaState::kCurrent;
    if (volume->state == VolumeState::kOffline) {
      away->insert(volume->id);
      if (!current || !at.may_return(volume->id)) continue;
      standing.holding.insert(volume->id);
      ++standing.good;
      continue;
    }
    if (!current) {
      if (replica.state != ReplicaState::kMissing || !replica.primary) standing.stale = &replica;
      continue;
    }
    standing.source = true;
    standing.holding.insert(volume->id);
    if (volume->state == VolumeState::kDraining || volume->id == at.leave) {
      standing.leaving = &replica;
      continue;
    }
    if (at.hot.contains(volume->id) && !replica.primary) {
      ++standing.for_heat;
      continue;
    }
    ++standing.good;
    ++standing.reached;
    const bool pinned = at.file.wishes.volumes.contains(volume->id);
    if (!replica.primary && !pinned) standing.surplus = &replica;
  }
  return standing;
}

bool HasRoom(const CopySituation& at, const VolumeInfo& volume) {
  return volume.id != at.leave && meta::CanTakeCopy(volume, at.file.attr.size_bytes);
}

bool CanTake(const CopySituation& at, const Standing& standing, const VolumeInfo& volume) {
  return !standing.holding.contains(volume.id) && meta::SuitsPolicy(at.policy, volume) &&
         HasRoom(at, volume);
}

// Many files that leave one volume at a time must not all go to the one that had most room when
// they began: each draws, and a volume wins in proportion to its room.
double Room(const CopySituation& at, const VolumeInfo& volume) {
  const auto room = static_cast<double>(meta::Headroom(volume));
  if (!at.leave) return room;
  const uint64_t input[2] = {at.file.attr.inode.value, volume.id.value};
  const uint64_t hash = Hash64({reinterpret_cast<const char*>(input), sizeof input}, /*seed=*/0);
  const double uniform = (static_cast<double>(hash >> 11) + 0.5) * 0x1p-53;  // in (0, 1)
  return room / -std::log(uniform);
}

// Of those that may hold a further copy, the one with the most room; null: there is none.
const VolumeInfo* BestTarget(const CopySituation& at, const Standing& standing) {
  const VolumeInfo* best = nullptr;
  for (const VolumeInfo& volume : at.volumes) {
    if (!CanTake(at, standing, volume)) continue;
    if (!best || Room(at, volume) > Room(at, *best)) best = &volume;
  }
  return best;
}

// Where a copy for heat cannot be made now, the rule finds another place, or the heat is over.
const VolumeInfo* HotTarget(const CopySituation& at, const Standing& standing) {
  for (const VolumeInfo& volume : at.volumes)
    if (at.hot.contains(volume.id) && CanTake(at, standing, volume)) return &volume;
  return nullptr;
}

// A volume that the file asks for by name and has no copy on yet; null: none that can take one.
const VolumeInfo* PinTarget(const CopySituation& at, const Standing& standing,
                            std::string* obstacle) {
  for (const VolumeId wanted : at.file.wishes.volumes) {
    if (standing.holding.contains(wanted)) continue;
    const VolumeInfo* volume = meta::FindVolume(at.volumes, wanted);
    if (!volume) continue;  // removed since
    if (HasRoom(at, *volume)) return volume;
    *obstacle = "volume " + volume->name + ", to which it is pinned, cannot take it";
  }
  return nullptr;
}

}  // namespace

CopyPlan PlanCopies(const CopySituation& at) {
  CopyPlan plan;
  const Standing standing = Assess(at, &plan.away);
  // It may be all that is left, if what is out of reach does not come back.
  if (standing.stale && standing.source) {
    plan.drop = *standing.stale;
    return plan;
  }
  const uint32_t wanted = meta::WantedCopies(at.policy, at.file.wishes);
  const VolumeInfo* target = PinTarget(at, standing, &plan.obstacle);
  const uint32_t good = standing.good + standing.for_heat;
  if (!target && good < wanted) {
    target = BestTarget(at, standing);
    if (!target) plan.obstacle = "no further volume can take a copy of it";
  }
  if (target && standing.source) {
    plan.copy_to = target->id;
    return plan;
  }
  if (!standing.source && good < wanted) plan.obstacle = "no copy of it can be reached";
  // What leaves a volume does not have to wait for copies that it never had.
  if (standing.leaving && standing.reached + standing.for_heat > 0)
    plan.drop = *standing.leaving;
  else if (standing.leaving && plan.obstacle.empty())
    plan.obstacle = "no other volume can take it";
  else if (plan.obstacle.empty() && standing.reached > wanted && standing.surplus)
    plan.drop = *standing.surplus;
  plan.settled = plan.obstacle.empty() && !plan.drop;
  if (!plan.settled || !standing.source) return plan;
  if (const VolumeInfo* hot = HotTarget(at, standing)) {
    plan.settled = false;
    plan.copy_to = hot->id;
  }
  return plan;
}

}  // namespace pxfs::volumes
