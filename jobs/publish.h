// Publishing: the files that a job's tasks staged become one new directory of the namespace, in one
// transaction.
//
// Objects are hard links to the staged files, so staging stays whole until the transaction is in: a
// publication that a crash cut short is simply done again, and what the first one had set aside
// goes when its session is reclaimed.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "jobs/node.h"
#include "meta/service.h"
#include "volumes/volume.h"

namespace pxfs::jobs {

struct StagedTask {
  TaskKey key;
  VolumeId volume;
};

struct PublishRequest {
  std::string output;   // namespace path of the directory to make
  proto::User user;     // its owner; must be allowed to make it
  uint32_t copies = 0;  // of each file, which becomes the directory's policy; 0: nothing is asked
  std::vector<StagedTask> tasks;
  std::vector<meta::RecordWrite> records;  // written in the same transaction
};

// kExists: the output exists by now, or two tasks wrote the same name (the message says which);
// kNotFound, kAccess: the directory above it is gone or closed. Nothing appears unless it succeeds.
// Blocks for a sync of the volumes.
Status Publish(meta::MetadataService& metadata, SessionId session,
               const volumes::VolumeSet& volumes, const PublishRequest& request);

// Adds up what a task staged.
Status CountStaged(const volumes::VolumeSet& volumes, const StagedTask& task,
                   proto::Routes& routes);

}  // namespace pxfs::jobs
