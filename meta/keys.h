// The keys of the store: one letter for the family, then big-endian numbers, so that byte order is
// number order. meta/README.md lists the families; docs/formats.md has them to the byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace pxfs::meta::keys {

enum class Family : char {
  kReservation = 'A',   // session, inode
  kCounter = 'C',       // name
  kEntry = 'D',         // directory, slot
  kInode = 'I',         // inode
  kRecord = 'J',        // key of another service
  kLink = 'L',          // inode, parent, slot
  kVolume = 'N',        // volume
  kOrphan = 'O',        // inode
  kPolicy = 'P',        // directory
  kRequest = 'Q',       // session, slot of the request's number
  kReclaim = 'R',       // ticket
  kSession = 'S',       // session
  kVolumeInode = 'V',   // volume, inode
  kOpenForWrite = 'W',  // inode, session (0: of a session that died)
  kXattr = 'X',         // inode, name
};

// The family and up to three numbers.
std::string Make(Family family);
std::string Make(Family family, uint64_t a);
std::string Make(Family family, uint64_t a, uint64_t b);
std::string Make(Family family, uint64_t a, uint64_t b, uint64_t c);

inline std::string Inode(InodeId inode) { return Make(Family::kInode, inode.value); }
inline std::string Entry(InodeId directory, uint64_t slot) {
  return Make(Family::kEntry, directory.value, slot);
}
inline std::string Link(InodeId inode, InodeId parent, uint64_t slot) {
  return Make(Family::kLink, inode.value, parent.value, slot);
}
inline std::string Orphan(InodeId inode) { return Make(Family::kOrphan, inode.value); }
inline std::string OpenForWrite(InodeId inode, SessionId session) {
  return Make(Family::kOpenForWrite, inode.value, session.value);
}
inline std::string VolumeInode(VolumeId volume, InodeId inode) {
  return Make(Family::kVolumeInode, volume.value, inode.value);
}
inline std::string Reservation(SessionId session, InodeId inode) {
  return Make(Family::kReservation, session.value, inode.value);
}
inline std::string Session(SessionId session) { return Make(Family::kSession, session.value); }
inline std::string Reclaim(uint64_t ticket) { return Make(Family::kReclaim, ticket); }
inline std::string Volume(VolumeId volume) { return Make(Family::kVolume, volume.value); }
inline std::string Policy(InodeId directory) { return Make(Family::kPolicy, directory.value); }
std::string Xattr(InodeId inode, std::string_view name);
std::string Counter(std::string_view name);
std::string Record(std::string_view key);

// The end of the range of keys that begin with `prefix`, which is not all 0xff.
std::string EndOf(std::string prefix);

// The n-th number of a key (n from 0). False when the key is too short: a damaged store.
bool ReadNumber(std::string_view key, size_t n, uint64_t* value);

// The key for messages: its family and numbers, "inode 1f".
std::string Describe(std::string_view key);

}  // namespace pxfs::meta::keys
