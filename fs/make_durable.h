// What fsync and fdatasync promise.
#pragma once

#include "base/result.h"
#include "fs/file_system.h"

namespace pxfs::fs {

// The content of an open file survives loss of power, and so does its name; data_only: that of the
// file may not, nor its times, where bytes were only overwritten since it was durable.
//
// Data first, then size and times, then the store with the file's name: after a power cut there is
// never a size without its data. Where bytes have only been overwritten since the last time,
// fdatasync has nothing to do but the data. Blocks for the disk.
Status MakeDurable(FileSystem& fs, const meta::CallContext& ctx, InodeId inode, bool data_only);

// Its policy says commit=close, and it is open for writing.
bool Commits(FileSystem& fs, InodeId inode);

}  // namespace pxfs::fs
