// What a file's copies should come to next: the rules of docs/replication.md, without any I/O.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "meta/types.h"

namespace pxfs::volumes {

// What there is to know for a plan.
struct CopySituation {
  const meta::Location& file;
  const meta::Policy& policy;  // effective
  std::span<const meta::VolumeInfo> volumes;
  // Whether a volume that is out of reach may be back soon, so that what lies there still counts.
  std::function<bool(VolumeId)> may_return = [](VolumeId) { return false; };
  // Volumes with a copy, or to get one, because the file is wanted by many (volumes/hot_copies.h).
  std::set<VolumeId> hot = {};
  // A volume that the file shall leave although it is online: rebalancing. 0: none.
  VolumeId leave = {};
};

// One step; when it is done, the next plan says what follows.
struct CopyPlan {
  bool settled = false;
  std::optional<meta::Replica> drop;  // stale, too many, or on a volume that it leaves
  std::optional<VolumeId> copy_to;
  std::string obstacle;     // why nothing can be done although something should
  std::set<VolumeId> away;  // volumes out of reach that hold something of the file
};

// The file must be a regular one that has a name and that nobody writes.
CopyPlan PlanCopies(const CopySituation& situation);

}  // namespace pxfs::volumes
