// Staging directories: where tasks write what is to be published,
// <volume>/staging/job-<job>/<task>/out.
#pragma once

#include <set>
#include <string>

#include "base/result.h"
#include "jobs/node.h"
#include "volumes/volume.h"

namespace pxfs::jobs {

// Below the volume's root.
std::string StagingPath(TaskKey key);
// An empty one that belongs to the user; what was there is removed. Returns its absolute path.
Result<std::string> MakeStaging(const volumes::Volume& volume, TaskKey key,
                                const proto::User& user);
// All tasks' of a job, on all volumes.
Status RemoveStaging(const volumes::VolumeSet& volumes, uint64_t job);
// Jobs that have some.
std::set<uint64_t> ListStaging(const volumes::VolumeSet& volumes);

}  // namespace pxfs::jobs
