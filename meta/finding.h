// What does not fit together in a store, or between a store and its volumes.
#pragma once

#include <string>
#include <tuple>

#include "base/ids.h"

namespace pxfs::meta {

enum class FindingKind {
  kDamagedRecord,  // bytes that no version wrote
  kDangling,       // names or other records of an inode that is not there
  kUnreachable,    // an inode that no path leads to
  kLinks,          // link count, or which names an inode has
  kDirectory,      // counts of a directory, or the order of its entries
  kReverseIndex,   // replicas and the index of volumes
  kOpenRecord,     // who has a file open for writing
  kOrphan,         // removed inodes: who holds them, what is queued
  kXattr,
  kPolicy,
  kReservation,
  kSession,  // of a process that is gone
  kCounter,
  kVolume,       // offline, foreign or unknown
  kLostObject,   // an object that is not there
  kStrayObject,  // an object that nothing refers to
  kSize,         // object and inode differ in size
  kOwner,        // object and inode differ in owner or mode
};
const char* ToString(FindingKind kind);  // "dangling-name": for programs

struct Finding {
  FindingKind kind;
  InodeId inode;  // 0: of none
  VolumeId volume = {};
  std::string what;
  std::string path = {};  // of the inode, where it has one
  bool repaired = false;

  // "inode 1f: what": without the path.
  std::string Text() const;
};

}  // namespace pxfs::meta
