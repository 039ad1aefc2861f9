// Choosing a volume for a new file.
//
// `spread` and `colocate` are weighted rendezvous hashing: every volume draws an exponentially
// distributed number from the hash of (key, volume), at a rate that is its weight, and the smallest
// one wins. So each volume wins in proportion to its weight, and a volume that comes or goes moves
// only its own share.
#include "meta/placement.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/bytes.h"
#include "base/hash.h"

namespace pxfs::meta {
namespace {

// Fixed, so that every process draws alike.
constexpr uint64_t kSeed = 0x7078667376310001;

enum class Rejection : uint8_t {
  kNone,
  kNotPinned,
  kReadOnly,
  kDraining,
  kOffline,
  kLabel,
  kNoWeight,
  kNotReported,
  kNoRoom,
};

Rejection Judge(const PlacementRequest& request, const VolumeInfo& volume) {
  const bool pinned = request.policy.placement == Placement::kPin;
  if (pinned && volume.name != request.policy.pin_volume) return Rejection::kNotPinned;
  switch (volume.state) {
    case VolumeState::kOnline:
      break;
    case VolumeState::kReadOnly:
      return Rejection::kReadOnly;
    case VolumeState::kDraining:
      return Rejection::kDraining;
    case VolumeState::kOffline:
      return Rejection::kOffline;
  }
  if (MissingLabel(request.policy, volume)) return Rejection::kLabel;
  // Weight 0 keeps a volume for what is pinned to it. (Not a number counts as 0.)
  if (!pinned && !(volume.weight > 0)) return Rejection::kNoWeight;
  if (volume.total_bytes == 0) return Rejection::kNotReported;
  const uint64_t headroom = Headroom(volume);
  if (headroom == 0 || headroom < request.size_bytes) return Rejection::kNoRoom;
  return Rejection::kNone;
}

std::string Reason(Rejection rejection, const PlacementRequest& request, const VolumeInfo& volume) {
  switch (rejection) {
    case Rejection::kNone:
      break;
    case Rejection::kNotPinned:
      return "not the pinned volume " + request.policy.pin_volume;
    case Rejection::kReadOnly:
      return "read-only";
    case Rejection::kDraining:
      return "draining";
    case Rejection::kOffline:
      return volume.problem.empty() ? "offline" : "offline (" + volume.problem + ")";
    case Rejection::kLabel: {
      const auto* label = MissingLabel(request.policy, volume);
      return "lacks the label " + label->first + "=" + label->second;
    }
    case Rejection::kNoWeight:
      return "its weight is 0";
    case Rejection::kNotReported:
      return "has not reported its space yet";
    case Rejection::kNoRoom:
      return FormatBytes(volume.free_bytes) + " free, of which " +
             FormatBytes(volume.reserve_bytes) + " are reserved" +
             (request.size_bytes ? ", for a file of " + FormatBytes(request.size_bytes) : "");
  }
  return "usable";
}

// Rounded down to the leading bit and two more: as a volume fills, its weight moves in few, large
// steps rather than with every file.
double Quantised(uint64_t bytes) {
  const int drop = std::bit_width(bytes) - 3;
  return static_cast<double>(drop > 0 ? bytes >> drop << drop : bytes);
}

// What the volume draws for `key`; the smallest wins.
double Draw(uint64_t key, VolumeId volume, double rate) {
  char input[16];
  std::memcpy(input, &key, 8);
  std::memcpy(input + 8, &volume.value, 8);
  const uint64_t hash = Hash64({input, sizeof input}, kSeed);
  const double uniform = (static_cast<double>(hash >> 11) + 0.5) * 0x1p-53;  // in (0, 1)
  return -std::log(uniform) / rate;
}

double SpreadDraw(const PlacementRequest& request, const VolumeInfo& volume) {
  return Draw(request.inode.value, volume.id, volume.weight * Quantised(Headroom(volume)));
}

// The lower, the better.
double Cost(const PlacementRequest& request, const VolumeInfo& volume) {
  switch (request.policy.placement.value_or(Placement::kSpread)) {
    case Placement::kSpread:
    case Placement::kLocalFirst:
      return SpreadDraw(request, volume);
    case Placement::kColocate:
      // By size and not by free space: a directory's later files must not drift away as the volume
      // fills.
      return Draw(request.directory.value, volume.id,
                  volume.weight * static_cast<double>(volume.total_bytes));
    case Placement::kMostFree:
      return -static_cast<double>(Headroom(volume));
    case Placement::kPin:
      return 0;
  }
  return 0;
}

// A volume without a node is shared: near to every node.
bool IsLocal(const PlacementRequest& request, const VolumeInfo& volume) {
  return !volume.node || volume.node == request.node;
}

tl::unexpected<Error> NoVolume(const PlacementRequest& request,
                               std::span<const VolumeInfo> volumes) {
  if (volumes.empty())
    return Fail(Code::kNoSpace, "the cluster has no volume; add one with: pxfs volume add");
  std::string message = "no volume takes a new file:";
  const char* separator = " ";
  for (const VolumeInfo& volume : volumes) {
    message += separator + volume.name + ": " + Reason(Judge(request, volume), request, volume);
    separator = "; ";
  }
  message += "; free space there, add a volume, or change the directory's policy";
  return Fail(Code::kNoSpace, std::move(message));
}

}  // namespace

const VolumeInfo* FindVolume(std::span<const VolumeInfo> volumes, VolumeId id) {
  const auto it = std::find_if(volumes.begin(), volumes.end(),
                               [&](const VolumeInfo& volume) { return volume.id == id; });
  return it == volumes.end() ? nullptr : &*it;
}

uint64_t Headroom(const VolumeInfo& volume) {
  return volume.free_bytes > volume.reserve_bytes ? volume.free_bytes - volume.reserve_bytes : 0;
}

bool BelowReserve(const VolumeInfo& volume) {
  return volume.total_bytes != 0 && Headroom(volume) == 0;
}

Status CanTakeCopy(const VolumeInfo& volume, uint64_t size_bytes) {
  switch (volume.state) {
    case VolumeState::kOnline:
      break;
    case VolumeState::kOffline:
      return Fail(Code::kUnavailable,
                  "volume " + volume.name + " is offline" +
                      (volume.problem.empty() ? "" : " (" + volume.problem + ")"));
    case VolumeState::kReadOnly:
    case VolumeState::kDraining:
      return Fail(Code::kReadOnly, "volume " + volume.name + " is " + ToString(volume.state) +
                                       " and takes no copies; end that with: pxfs volume set " +
                                       volume.name + " state=online");
  }
  if (BelowReserve(volume) || Headroom(volume) < size_bytes)
    return Fail(Code::kNoSpace, "volume " + volume.name + " has no room for a copy of " +
                                    FormatBytes(size_bytes) + ": " +
                                    FormatBytes(volume.free_bytes) + " free, of which " +
                                    FormatBytes(volume.reserve_bytes) + " are reserved");
  return {};
}

Status SuitsPolicy(const Policy& effective, const VolumeInfo& volume) {
  if (MissingLabel(effective, volume))
    return Fail(Code::kInvalid, volume.name + ": lacks a label of the policy");
  // Not a number counts as 0.
  if (!(volume.weight > 0)) return Fail(Code::kInvalid, volume.name + ": its weight is 0");
  return {};
}

uint32_t WantedCopies(const Policy& effective, const CopyWishes& wishes) {
  return std::max({1u, effective.copies.value_or(1), wishes.copies,
                   static_cast<uint32_t>(wishes.volumes.size())});
}

const std::pair<const std::string, std::string>* MissingLabel(const Policy& policy,
                                                              const VolumeInfo& volume) {
  for (const auto& label : policy.labels) {
    const auto found = volume.labels.find(label.first);
    if (found == volume.labels.end() || found->second != label.second) return &label;
  }
  return nullptr;
}

Result<VolumeId> ChooseVolume(const PlacementRequest& request,
                              std::span<const VolumeInfo> volumes) {
  const bool local_first = request.policy.placement == Placement::kLocalFirst;
  const VolumeInfo* best = nullptr;
  double best_cost = 0;
  bool best_local = false;
  for (const VolumeInfo& volume : volumes) {
    if (Judge(request, volume) != Rejection::kNone) continue;
    const bool local = local_first && IsLocal(request, volume);
    const double cost = Cost(request, volume);
    const bool better =
        !best || local > best_local ||
        (local == best_local && (cost < best_cost || (cost == best_cost && volume.id < best->id)));
    if (!better) continue;
    best = &volume;
    best_cost = cost;
    best_local = local;
  }
  if (!best) return NoVolume(request, volumes);
  return best->id;
}

}  // namespace pxfs::meta
