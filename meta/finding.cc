#include "meta/finding.h"

#include "base/bytes.h"

namespace pxfs::meta {

const char* ToString(FindingKind kind) {
  switch (kind) {
    case FindingKind::kDamagedRecord:
      return "damaged-record";
    case FindingKind::kDangling:
      return "dangling";
    case FindingKind::kUnreachable:
      return "unreachable";
    case FindingKind::kLinks:
      return "links";
    case FindingKind::kDirectory:
      return "directory";
    case FindingKind::kReverseIndex:
      return "reverse-index";
    case FindingKind::kOpenRecord:
      return "open-record";
    case FindingKind::kOrphan:
      return "orphan";
    case FindingKind::kXattr:
      return "xattr";
    case FindingKind::kPolicy:
      return "policy";
    case FindingKind::kReservation:
      return "reservation";
    case FindingKind::kSession:
      return "session";
    case FindingKind::kCounter:
      return "counter";
    case FindingKind::kVolume:
      return "volume";
    case FindingKind::kLostObject:
      return "lost-object";
    case FindingKind::kStrayObject:
      return "stray-object";
    case FindingKind::kSize:
      return "size";
    case FindingKind::kOwner:
      return "owner";
  }
  return "?";
}

std::string Finding::Text() const {
  return inode ? "inode " + ToHex(inode.value) + ": " + what : what;
}

}  // namespace pxfs::meta
