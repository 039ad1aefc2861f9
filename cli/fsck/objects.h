// The store against the objects on the volumes.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "meta/fsck.h"
#include "volumes/volume.h"

namespace pxfs::cli {

using OpenVolumes = std::map<VolumeId, std::shared_ptr<volumes::Volume>>;

// The volumes that can be used; what is wrong with the others is added to `findings`.
Result<OpenVolumes> OpenVolumesOf(meta::StoreFsck& store, const std::string& cluster_uuid,
                                  std::vector<meta::Finding>* findings);

// The highest number of an inode that has an object; 0: there is none.
Result<InodeId> LastObject(const OpenVolumes& volumes);
// A file as its object shows it.
meta::Location FileOfObject(const volumes::Volume& volume, volumes::ObjectName name,
                            const struct stat& object);
// As meta::FindObject; of several objects the newest generation counts.
Result<std::optional<meta::Location>> FindObject(const OpenVolumes& volumes, InodeId inode,
                                                 const std::set<VolumeId>& where);

// Compares every file with its objects, and every object with the files; repairs what can be if
// asked. Blocks for a look at every object.
Status CheckObjects(meta::StoreFsck& store, const OpenVolumes& volumes, bool repair,
                    std::vector<meta::Finding>* findings);

}  // namespace pxfs::cli
