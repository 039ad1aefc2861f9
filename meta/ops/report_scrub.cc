#include <algorithm>

#include "meta/local_service_impl.h"
#include "meta/placement.h"

namespace pxfs::meta {

Status LocalService::ReportScrub(const ScrubFinding& finding) {
  const VolumeTable::Snapshot volumes = volumes_.Current();
  return store_->Run([&](Transaction& tx) -> Status {
    PXFS_ASSIGN(InodeRecord * record, tx.EditInode(finding.object.inode));
    auto& replicas = record->replicas;
    const auto read = std::find_if(replicas.begin(), replicas.end(), [&](const Replica& replica) {
      return replica.volume == finding.object.volume &&
             replica.object_generation == finding.object.object_generation;
    });
    if (read == replicas.end()) return Fail(Code::kNotFound, "no such replica");
    if (record->writers > 0) return Fail(Code::kBusy, "open for writing");
    if (record->attr.generation != finding.generation || read->state != ReplicaState::kCurrent)
      return Fail(Code::kStale, "the content has changed");
    if (finding.good) {
      if (read->checksum && !(*read->checksum == finding.checksum))
        return Fail(Code::kStale, "its checksum has changed");
      for (Replica& replica : replicas) {
        if (replica.state == ReplicaState::kCurrent) replica.checksum = finding.checksum;
      }
      read->verified_seconds = store_->Now().seconds;
      return {};
    }
    const auto heir = std::find_if(replicas.begin(), replicas.end(), [&](const Replica& other) {
      const VolumeInfo* volume = FindVolume(*volumes, other.volume);
      return &other != &*read && other.state == ReplicaState::kCurrent && volume &&
             volume->state != VolumeState::kOffline;
    });
    if (heir == replicas.end())
      return Fail(Code::kNotPermitted, "no other copy of it can be reached");
    read->state = ReplicaState::kStale;
    if (read->primary) {
      read->primary = false;
      heir->primary = true;
    }
    return LookAtCopies(tx, finding.object.inode);
  });
}

}  // namespace pxfs::meta
