// The reply to OPEN and CREATE, made by hand: libfuse 3.14 has no field for the backing id.
#pragma once

#include <fuse3/fuse_lowlevel.h>

#include "fs/kernel_abi.h"
#include "fs/open_table.h"

namespace pxfs::fs {

// Data goes to the object by passthrough, or through this process where there is no backing id or
// it cannot serve the open. close(2) needs no message: what is written has reached the object
// (there is no write-back cache here), and errors were shown by the write; unless its policy says
// commit=close.
inline abi::OpenOut OpenReplyOf(const OpenTable::Opened& opened) {
  abi::OpenOut out{};
  out.open_flags = opened.commits ? 0 : FOPEN_NOFLUSH;
  if (opened.backing_id > 0) {
    out.open_flags |= abi::kOpenPassthrough;
    out.backing_id = opened.backing_id;
  }
  if (opened.direct_io) out.open_flags |= FOPEN_DIRECT_IO;
  return out;
}

}  // namespace pxfs::fs
