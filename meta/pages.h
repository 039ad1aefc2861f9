// What the service hands out a page at a time, from the first to the last. `visit` is called for
// each in order; its first error, or one of the service, ends it and is returned. What comes or goes
// meanwhile is visited or not. Blocks for the store.
#pragma once

#include <functional>
#include <string_view>

#include "base/result.h"
#include "meta/service.h"

namespace pxfs::meta {

// MetadataService::ScanRecords.
Status ForEachRecord(MetadataService& metadata, std::string_view prefix,
                     const std::function<Status(const Record& record)>& visit);
// MetadataService::ListVolumeInodes.
Status ForEachInodeOn(MetadataService& metadata, VolumeId volume,
                      const std::function<Status(InodeId inode)>& visit);

}  // namespace pxfs::meta
