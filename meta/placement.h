// Where a new file goes. Pure functions of what the caller knows: no store, no clock, no state.
#pragma once

#include <span>
#include <string>
#include <utility>

#include "base/ids.h"
#include "base/result.h"
#include "meta/types.h"

namespace pxfs::meta {

struct PlacementRequest {
  Policy policy;            // effective
  InodeId inode;            // of the new file: what `spread` hashes
  InodeId directory;        // its parent: what `colocate` hashes
  NodeId node;              // who creates it: what `local-first` prefers
  uint64_t size_bytes = 0;  // 0: not known
};

// The volume for a new file. Volumes that are not online, lack a label of the policy, or would fall
// below their reserve are not chosen. kNoSpace names every rejected volume with its reason.
Result<VolumeId> ChooseVolume(const PlacementRequest& request, std::span<const VolumeInfo> volumes);

// Null where it is not among them.
const VolumeInfo* FindVolume(std::span<const VolumeInfo> volumes, VolumeId id);

// What a volume can take before it is down to its reserve.
uint64_t Headroom(const VolumeInfo& volume);

// Less is free than the volume keeps in reserve.
bool BelowReserve(const VolumeInfo& volume);

// Whether a copy of so many bytes can be made there now. kUnavailable, kReadOnly, kNoSpace: the
// message names the volume and says why not.
Status CanTakeCopy(const VolumeInfo& volume, uint64_t size_bytes);

// Whether copies go there by themselves, whatever its state and room: it has the labels of the
// policy and a weight above 0. kInvalid: the message names the volume and says why not. Who asks
// for a volume by name gets it all the same.
Status SuitsPolicy(const Policy& effective, const VolumeInfo& volume);

// How many current copies a file should have: 1 or more.
uint32_t WantedCopies(const Policy& effective, const CopyWishes& wishes);

// The policy of a directory from its own and its ancestors', nearest first; the defaults fill what
// none sets.
Policy EffectivePolicy(std::span<const Policy> nearest_first);

// The first label of the policy that the volume lacks; null where it has them all.
const std::pair<const std::string, std::string>* MissingLabel(const Policy& policy,
                                                              const VolumeInfo& volume);

// kInvalid: contradictions, unknown volume in pin, more copies than volumes with the labels.
Status CheckPolicy(const Policy& policy, std::span<const VolumeInfo> volumes);

}  // namespace pxfs::meta
