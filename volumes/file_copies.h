// The copies of one file: makes and drops them until it has what it should have
// (docs/replication.md). It looks at what an inode is and should be, and makes one step at a time,
// each of which is a transaction of its own; so it can be killed at any point, and what it is told
// twice does no harm.
//
// Thread-safe, but one thread an inode: two could each drop what the other one keeps.
#pragma once

#include "base/result.h"
#include "meta/service.h"
#include "volumes/copy_plan.h"
#include "volumes/volume.h"

namespace pxfs::volumes {

// What a copy counts for towards limits of rates at least: a small one costs its syncs and
// transactions, not its bytes.
inline constexpr uint64_t kLeastCopyCost = 64 << 10;

// What a look at a file came to.
enum class CopyOutcome {
  kSettled,  // it has what it should have, or whoever changes it now will queue it again
  kChanged,  // it changed while it was copied
  kLater,    // something is in the way now: no room, a volume that is away, a file in use
};

// Where a copy stands: between any two of these the process may die.
enum class CopyStep { kBegun, kBlock, kMade, kCommitted, kDropping, kDropped };

// Who has files settled: knows of volumes and limits, and counts. Thread-safe.
class CopyHost {
 public:
  virtual ~CopyHost() = default;

  // Whether a volume that is out of reach is so for a short time only, as far as is known.
  virtual bool MayReturn(VolumeId volume) = 0;
  // Something of a file lies there: what lies on this volume is to be looked at when it is back.
  virtual Status NoteAway(VolumeId volume) = 0;
  // Bytes have been copied, and count towards the limits of rates as `cost` bytes. Blocks as long
  // as these say; false: give up.
  virtual bool Spend(VolumeId from, VolumeId to, uint64_t bytes, uint64_t cost) = 0;
  virtual void Reached(CopyStep step) = 0;
  // A copy is being made from now on, and is no more, whatever it came to.
  virtual void Begun(const meta::ObjectRef& copy) = 0;
  virtual void Ended(const meta::ObjectRef& copy) = 0;
};

class FileCopies {
 public:
  FileCopies(meta::MetadataService& metadata, const VolumeSet& volumes, SessionId session,
             CopyHost& host)
      : metadata_(metadata), volumes_(volumes), session_{.session = session}, host_(host) {}

  // Blocks for the copying. leave: a volume that the file shall leave (0: none). kInterrupted: the
  // host has said so.
  Result<CopyOutcome> Settle(InodeId inode, VolumeId leave = {});

 private:
  Result<CopyPlan> Look(InodeId inode, VolumeId leave) const;
  Status Copy(InodeId inode, VolumeId target);
  Result<meta::FinishedCopy> MakeObject(const meta::CopyTicket& ticket);
  Status Commit(meta::FinishedCopy copy);
  Result<bool> Drop(InodeId inode, const meta::Replica& replica);

  meta::MetadataService& metadata_;
  const VolumeSet& volumes_;
  const meta::CallContext session_;
  CopyHost& host_;
};

}  // namespace pxfs::volumes
