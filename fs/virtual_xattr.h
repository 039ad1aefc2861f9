// The virtual xattrs user.pxfs.*: what pxfs knows of an inode, on any path. Not listed, so that
// copies do not carry them.
//   user.pxfs.location   where the content is, JSON (volumes/location.h)
//   user.pxfs.basepath   the root of the volume of the primary;  user.pxfs.fullpath  its object
//   user.pxfs.path       the path in the namespace;              user.pxfs.cluster   the cluster
//   user.pxfs.copies     how many copies it is to have; can be set, and removed: on a file what it
//   asks
//                        for beside its policy, on a directory the number in its own policy
//   user.pxfs.pin        the names of the volumes that it shall have a copy on; likewise
//   directory user.pxfs.policy     the effective policy; on directories it can be set (the own
//   policy), and removed user.pxfs.stats      on the mount's root: what went by which route, JSON
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "fs/file_system.h"

namespace pxfs::fs {

bool IsVirtualXattr(std::string_view name);
// kNoData: there is none of this name for this inode.
Result<std::string> GetVirtualXattr(FileSystem& fs, const meta::CallContext& ctx, InodeId inode,
                                    std::string_view name);
// kNotPermitted: cannot be set, or not by this user.
Status SetVirtualXattr(FileSystem& fs, const meta::CallContext& ctx, InodeId inode,
                       std::string_view name, std::string_view value);

}  // namespace pxfs::fs
