#include "meta/types.h"

namespace pxfs::meta {

const char* ToString(VolumeState state) {
  switch (state) {
    case VolumeState::kOnline:
      return "online";
    case VolumeState::kReadOnly:
      return "readonly";
    case VolumeState::kDraining:
      return "draining";
    case VolumeState::kOffline:
      return "offline";
  }
  return "unknown";
}

const char* ToString(ReplicaState state) {
  switch (state) {
    case ReplicaState::kCurrent:
      return "current";
    case ReplicaState::kStale:
      return "stale";
    case ReplicaState::kCopying:
      return "copying";
    case ReplicaState::kMissing:
      return "missing";
  }
  return "unknown";
}

}  // namespace pxfs::meta
