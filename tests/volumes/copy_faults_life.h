// One life of the service in copy_faults_test: what it does at random, and what is checked after
// it.
//
// Each life is a process of its own, which may be killed at any step of a copy. What is known of
// the files is in memory that all lives share (Oracle).
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "meta/local_service.h"
#include "volumes/replicator.h"
#include "volumes/volume.h"

namespace pxfs::volumes {

inline constexpr int kFaultFiles = 20, kFaultVolumes = 4;
inline constexpr uint64_t kFaultVolumeBytes = 24 << 20;

// What is known of a file.
struct FaultEntry {
  uint32_t version = 0;  // 0: there is none
  uint32_t next = 0;     // being written
  bool busy = false;     // some operation has begun and not ended
  bool other_name = false;
  bool damaged = false;  // one of its objects
};

struct FaultOracle {
  FaultEntry files[kFaultFiles];
  bool away[kFaultVolumes] = {};
  bool rolled_back[kFaultVolumes] = {};  // it is back, or comes back, as it was rounds before
  std::atomic<int> steps_left{0};        // until the service kills itself
  int killed = 0, rollbacks = 0, rounds = 0;
};

// Where volume `index`, from 0, lies: on a disk of its own, which is mounted at DiskOf.
std::string FaultDiskOf(const std::string& directory, int index);
std::string FaultVolumeOf(const std::string& directory, int index);
// The volume as it was at some earlier time, beside it, while there is such a thing.
std::string FaultSnapshotOf(const std::string& directory, int index);

// Ends the process with a status of 1 after saying why, whenever something is not as it must be.
class FaultLife {
 public:
  FaultLife(const std::string& directory, FaultOracle& oracle, bool create = false);
  ~FaultLife();

  void Format();
  // Does what it likes until it is killed at some step of a copy, or until it has had enough.
  void Run(unsigned seed);
  // Everything is put right, and then compared with the oracle.
  void Verify();

 private:
  // A file that is open for writing.
  struct Writing {
    InodeId inode;
    UniqueFd object;
  };

  bool Chance(unsigned percent) { return random_() % 100 < percent; }
  std::string Name(int file) const;
  std::string Root(int volume) const { return FaultVolumeOf(directory_, volume); }
  std::string Ballast(int volume) const { return FaultDiskOf(directory_, volume) + "/ballast"; }
  void Refresh();
  bool AnyDamaged() const;
  bool AnyTrouble() const;
  void AwaitStep();
  bool QueueIsEmpty();
  void AwaitQuiet();

  void Write(int file);
  void BeginWrite(int file);
  void EndWrite(int file);
  UniqueFd OpenObject(const meta::Location& location);
  void WriteOut(int file, const UniqueFd& object, size_t size);
  void Unlink(int file);
  void Rename(int file);
  void Damage(int file);
  void Drain(int volume) { Change(volume, meta::VolumeState::kDraining, 0); }
  void Reserve(int volume) { Change(volume, meta::VolumeState::kOnline, uint64_t{1} << 62); }
  void Change(int index, meta::VolumeState state, uint64_t reserve);
  void FillUp(int volume);
  void MakeRoom();
  void Away(int volume);
  void GoAndReturnOld(int volume);
  bool IsNoted(VolumeId volume);
  bool MayRollBack(int volume);
  void BringBack(int volume);

  void Check(int file);
  void CheckObjects();

  const std::string directory_;
  FaultOracle& oracle_;
  std::mt19937 random_;
  std::unique_ptr<meta::MetadataService> service_;
  std::unique_ptr<VolumeSet> volumes_;
  std::unique_ptr<Replicator> replicator_;
  std::map<int, Writing> open_;
  meta::CallContext ctx_;
};

}  // namespace pxfs::volumes
