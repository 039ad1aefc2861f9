// Views: the fast path to a task's inputs. For each input and volume, a tree of hard links to the
// objects there, below <volume>/views/job-<task>/<input>/, that a container binds in place of the
// FUSE directory.
//
// A file is linked when its object is complete and nobody has it open for writing, when the
// submitter may read it, and when the object shows what the inode shows: owner, mode, size, times
// (put right here where a change has not reached the object). A file with an access control list is
// not linked, as an object carries none. Whatever is not linked stays on the FUSE route.
// Directories have their real owner, mode, list and times, so the kernel checks the rest.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "jobs/bundle.h"
#include "jobs/node.h"
#include "meta/service.h"
#include "volumes/heat_table.h"
#include "volumes/volume.h"

namespace pxfs::jobs {

struct TaskInputs {
  std::vector<ContainerMount> mounts;  // in order
  std::vector<std::string> files;      // container paths of the task's input files
  proto::Routes routes;                // input only
  volumes::VolumeLoad::Hold reading;   // what the task can read on volumes, while it runs
};

struct ViewRequest {
  const TaskLaunch& launch;
  std::string mountpoint;              // of the namespace, on this node
  volumes::HeatTable* heat = nullptr;  // where linked files count as opened; null: nowhere
};

// Makes the views of a task and says how its container mounts them. What a failed call leaves,
// RemoveViews removes. kNotFound, kAccess: an input is gone or closed by now. kNotSupported: the
// fast path is required and impossible.
Result<TaskInputs> MakeViews(meta::MetadataService& metadata, SessionId session,
                             const volumes::VolumeSet& volumes, const ViewRequest& request);
Status RemoveViews(const volumes::VolumeSet& volumes, TaskKey key);
// Tasks that have views on some volume.
std::set<TaskKey> ListViews(const volumes::VolumeSet& volumes);

}  // namespace pxfs::jobs
